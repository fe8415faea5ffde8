"""Whole recorded chains through the command `kroma replay`: op-chains and kroma-chains.

Chains of both families are executed from their genesis and have every hash equal, through every upgrade; Kroma's
through the change from its ZK trie to Merkle-Patricia state.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.cli import main
from tests.vectors.unit_files import load, vectors_root

pytest.importorskip("kroma_l1_cassette", reason="recordings are read by the plugin l1_cassette")
pytest.importorskip("kroma_engine_pyevm", reason="chains are executed by the plugin engine_pyevm")

FOLDERS = ("op-chains", "kroma-chains")
LATER = "lagoon"
"""Files of an upgrade that is not built yet."""
QUICK = (
    "allforks",
    "blobs-ecotone",
    "blobs-jovian",
    "crossing-",
    "drift-fjord",
    "expiry-delta",
    "expiry-jovian",
    "hostile-canyon-2",
    "hostile-granite-1",
    "invalid-payload-isthmus",
    "invalid-tx-canyon-2",
    "invalid-tx-karst-1",
    "mpt-",
    "plain-",
    "reorg-",
    "timeouts-canyon",
    "timeouts-holocene",
    "upgrade-all-at-once",
    "upgrade-bedrock-to-jovian",
    "upgrade-karst",
    "validator-life-mpt",
)
"""Beginnings of names of what the default suite takes from the project's own copy: each scenario, each upgrade."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    given = metafunc.config.getoption("--vectors") is not None
    paths = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.json*")) if LATER not in path.name]
    metafunc.parametrize(
        "path",
        [
            pytest.param(path, id=_name(path), marks=() if given or path.name.startswith(QUICK) else pytest.mark.slow)
            for path in paths
        ],
    )


def test_replay_equals_the_recorded_chain(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["replay", "--json", str(path)])
    output = capsys.readouterr()
    assert output.err == ""
    told = json.loads(output.out)
    assert (told["difference"], told.get("errors"), code) == (None, None, 0)
    recorded = load(path)
    last = recorded["expected"]["blocks"][-1]
    assert told["head"] == {"number": last["number"], "hash": last["hash"]}
    assert told["blocks"] == len(recorded["expected"]["blocks"])
    assert told["compared"]
    assert told["scope"] == "all"


def _name(path: Path) -> str:
    return path.name.split(".")[0]
