"""Engines with planted faults in the shadow of the right one, from the command line, and what their bundles show."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.cli import main
from kroma_core.cli.replaying import replay_of
from kroma_core.events import Diverged, Event, FollowerAgreed, FollowerAttached, FollowerDetached
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import plan_profile
from kroma_core.node.registry import discover
from kroma_core.node.shadow import engine_bundle
from kroma_core.node.shadow.bundle import read_bundle
from kroma_core.recording import open_recording
from tests.architecture.sources import ROOT
from tests.shadow.planted import plant

RECORDING = ROOT / "tests" / "vectors" / "data" / "op-chains" / "plain-jovian.json.xz"
pytest.importorskip("kroma_engine_pyevm", reason="the leading engine is the plugin engine_pyevm")
pytest.importorskip("kroma_l1_cassette", reason="the L1 is a recording, played by the plugin l1_cassette")
pytest.importorskip("kroma_da_blob", reason="batches travel in blobs, read by the plugin da_blob")
pytest.importorskip("kroma_derive_calldata", reason="batches travel in call data, read by the plugin derive_calldata")

PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "cassette"
path = "{recording}"
[[blobs]]
kind = "cassette"
path = "{recording}"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "pyevm"
store = "memory"
{shadows}
[shadow]
policy = "{policy}"
[node]
data_dir = "{folder}"
log_level = "warning"
stop_after = {last}
[explain]
keep = false
"""


@attrs.define
class Told:
    """An observer that keeps what is told; `done` once a follower agrees on the recording's last block."""

    events: list[Event] = attrs.field(factory=list)
    done: trio.Event = attrs.field(factory=trio.Event)

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, FollowerAgreed) and event.at.startswith("L2 block 94 "):
            self.done.set()


@pytest.fixture(scope="module", autouse=True)
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The faulty engines are installed: for this process, and for those that it starts."""
    folder = plant(tmp_path_factory.mktemp("planted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        yield


def profile(folder: Path, *kinds: str, policy: str = "report", last: int = 94) -> Path:
    path = folder / "shadow.toml"
    shadows = "\n".join(f'[[engine.shadow]]\nkind = "{kind}"' for kind in kinds)
    path.write_text(
        PROFILE.format(recording=RECORDING, shadows=shadows, policy=policy, folder=folder / "data", last=last)
    )
    return path


def bundle_of(folder: Path, kind: str) -> Path:
    [path] = (folder / "data" / "divergences").glob(f"engine-*-{kind}-*")
    return path


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node with two wrong engines in the shadow, which ran to its end."""
    folder = tmp_path_factory.mktemp("reported")
    assert main(["run", str(profile(folder, "fees", "prices"))]) == 0
    return folder


def test_kroma_check_names_those_who_follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(profile(tmp_path, "fees", "right"))]) == 0
    shown = capsys.readouterr().out
    assert (
        "  engine   pyevm (kroma-engine-pyevm 0.1.0)\n"
        "    shadow fees (kroma-planted 1.5)\n"
        "    shadow right (kroma-planted 1.5)\n"
    ) in shown


def test_a_fee_that_is_a_wei_too_high_is_found_in_the_first_block_with_a_transaction(reported: Path) -> None:
    found = read_bundle(bundle_of(reported, "fees")).divergence
    assert found.cursor.number == 1
    fields = [one.field for one in found.differences]
    assert fields == ["hash", "state_root", "output root"]
    assert str(found.follower) == "fees (kroma-planted 1.5)"


def test_a_precompile_that_costs_one_gas_more_is_found_where_it_is_called(reported: Path) -> None:
    found = read_bundle(bundle_of(reported, "prices")).divergence
    values = {one.field: (one.expected, one.got) for one in found.differences}
    assert values["gas_used"] == ("117564", "117565")
    assert values["receipts[1].cumulative_gas_used"] == ("92683", "92684")
    assert {"hash", "state_root", "receipts_root", "output root"} < set(values)


def test_a_bundle_is_shown_field_by_field(reported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle_of(reported, "prices")
    assert main(["divergence", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "two engines differ at L2 block 85 " in shown
    assert "    gas_used\n      leader    117564\n      follower  117565\n" in shown
    assert main(["divergence", "show", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"field": "gas_used", "leader": "117564", "follower": "117565"} in found["differences"]
    assert found["follower"] == {"kind": "prices", "distribution": "kroma-planted", "version": "1.5"}


def test_a_bundle_that_was_moved_shows_the_same_again(
    reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the node's folder is needed: it could be another machine."""
    moved = Path(shutil.copy(bundle_of(reported, "fees"), tmp_path / "moved.gz"))
    assert main(["divergence", "replay", "--json", str(moved)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["differs"]
    assert found["differences_now"] == found["differences"]
    assert [side["note"] for side in found["sides"]] == ["gives what it gave then"] * 2


@pytest.mark.slow
def test_a_bundle_of_an_engine_that_is_right_by_now_says_so(
    reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faulty kind has become the right engine."""
    repaired = plant(tmp_path / "repaired")
    offers = repaired / "kroma_planted" / "offers.py"
    offers.write_text(offers.read_text().replace('"fees": open_fees', '"fees": open_right'))
    monkeypatch.setenv("PYTHONPATH", str(repaired))
    assert main(["divergence", "replay", str(bundle_of(reported, "fees"))]) == 0
    shown = capsys.readouterr().out
    assert "follower: fees (kroma-planted 1.5) gives something else than then: hash: " in shown
    assert shown.endswith("  they agree now\n")


def test_a_divergence_halts_the_node_with_the_path_of_the_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(profile(tmp_path, "fees", policy="halt", last=5))]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "engine shadow 1 'fees' (kroma-planted 1.5) differ at L2 block 1 " in last
    assert last.endswith(f"the bundle is {bundle_of(tmp_path, 'fees')}")


@pytest.mark.slow
def test_a_majority_of_wrong_engines_ends_the_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(profile(tmp_path, "fees", "prices", "fees", policy="majority", last=5))]) == 1
    assert "2 of 4 parts say what engine 'pyevm'" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_a_majority_of_right_engines_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(profile(tmp_path, "fees", "right", policy="majority", last=5))]) == 0
    assert "'fees' (kroma-planted 1.5) is outvoted at L2 block 1 " in capsys.readouterr().err


@pytest.mark.slow
def test_an_engine_that_never_opens_does_not_hold_up_the_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(profile(tmp_path, "never", policy="halt"))]) == 0
    assert "engine shadow 1 'never' (kroma-planted 1.5) is no longer compared" in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_that_is_killed_is_started_again_and_its_engine_catches_up(tmp_path: Path) -> None:
    """It has nothing stored: the second one begins at genesis."""
    plan = plan_profile(profile(tmp_path, "dies"), discover(), {})
    told = Told()

    async def run() -> None:
        async with assemble(plan, observers={"told": told}, shadows=True) as parts:
            with open_recording(RECORDING) as recording:
                await replay_of(recording, plan, parts, expected=None).run()
            with trio.fail_after(60):
                await told.done.wait()

    trio.run(run)
    events = told.events
    [detached] = [one for one in events if isinstance(one, FollowerDetached)]
    assert "its process was killed (SIGKILL)" in detached.reason
    assert len([one for one in events if isinstance(one, FollowerAttached)]) == 2
    assert not [one for one in events if isinstance(one, Diverged)]


@pytest.mark.slow
def test_a_bundle_of_a_long_chain_asks_an_engine_that_has_the_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_bundle, "MOST_BLOCKS", 2)
    path = profile(tmp_path, "prices")
    path.write_text(path.read_text().replace('store = "memory"', 'store = "rocksdb"'))
    assert main(["run", str(path)]) == 0
    bundle = str(bundle_of(tmp_path, "prices"))
    capsys.readouterr()
    assert main(["divergence", "replay", bundle]) == 1
    told = capsys.readouterr().err
    assert told.count("the bundle begins after L2 block 0x") == 2
    assert main(["divergence", "replay", bundle, "--profile", str(path)]) == 1
    told = capsys.readouterr().out
    assert "leader: pyevm (kroma-engine-pyevm 0.1.0) gives what it gave then" in told
    assert "follower: not asked: the bundle begins after" in told
    assert told.endswith("  they still differ\n")
