"""`kroma replay --profile` with parts in the shadow of others: what was compared, and what differed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.cli import main
from tests.cli.recordings import SHORT

CARELESS = '''
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Offer, Role, hookimpl


@attrs.frozen(kw_only=True)
class Settings:
    """Nothing to set."""


class Careless:
    def claims(self, tx, rules):
        return True

    async def read(self, block, txs):
        return [(tx.data[:-1],) if block.number % 2 else (tx.data,) for tx in txs]


@asynccontextmanager
async def opened(settings, context, blobs):
    yield Careless()


@hookimpl
def provide_data_sources():
    return [Offer(kind="careless", config=Settings, open=opened, requires=(Role.BLOBS,))]
'''
"""A data source that loses a byte of what is in L1 blocks of odd numbers."""


@pytest.fixture
def careless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile in which that data source follows; its plugin is installed."""
    (tmp_path / "kroma_careless.py").write_text(CARELESS)
    about = tmp_path / "kroma_careless-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kroma-careless\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[kroma.plugins]\ncareless = kroma_careless\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    profile = tmp_path / "p.toml"
    profile.write_text("[engine]\nkind = 'recorded'\n[[data]]\nkind = 'calldata'\n[[data.shadow]]\nkind = 'careless'\n")
    return profile


def test_a_follower_that_differs_is_told_with_its_bundle_and_the_bundle_replays(
    careless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--json", "--profile", str(careless), str(SHORT)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    first, *_ = bundles = [Path(each) for each in told["divergences"]]
    assert {each.parent for each in bundles} == {careless.parent / "data" / "p" / "divergences"}
    assert main(["divergence", "replay", "--json", str(first)]) == 1
    again = json.loads(capsys.readouterr().out)
    assert again["cursor"]["number"] % 2 == 1
    assert again["follower"] == {"kind": "careless", "distribution": "kroma-careless", "version": "1.0"}
    assert {side["note"] for side in again["sides"]} == {"gives what it gave then"}
    [difference] = again["differences_now"]
    assert difference["field"].endswith("input 0 (bytes)")
    assert int(difference["leader"]) == int(difference["follower"]) + 1
