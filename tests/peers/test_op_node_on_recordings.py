"""`kroma recordings run`: an unmodified op-node on op-geth comes to the recorded head of every recording.

A few of them stand in `test_serve`; the whole set runs with `--all`, another one with `--vectors DIR`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.cli import main
from tests.peers.programs import ROOT, program
from tests.peers.rollup import CHAINS
from tests.vectors.unit_files import vectors_root

SCRIPT = ROOT / "examples" / "derivation_suite" / "op-node.sh"
PLACES = ("{l1}", "{beacon}", "{rollup}", "{genesis}", "{l1_config}", "{rpc_port}", "{eth_port}", "{port1}")

DIFFERENT: dict[str, str] = {
    "karst": "op-node v1.16.11 does not know this upgrade",
    "lagoon": "op-node v1.16.11 does not know this upgrade, nor the one before it",
    "invalid-payload-holocene": "a span batch in L1 block 20 overlaps with other blocks than the safe ones: v1.16.11 "
    "looks at its beginning alone and takes the rest, v1.19.6 compares the blocks and drops it",
    "invalid-tx-isthmus-2": "a batch for L2 block 85 holds a transaction of type 0x7D: v1.16.11 gives it to the engine "
    "and makes a block of deposits alone, v1.19.6 drops the batch",
}
"""Names of recordings, or words in them, that this op-node does not derive as recorded, with the reason."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "path" not in metafunc.fixturenames:
        return
    given = metafunc.config.getoption("--vectors") is not None
    paths = [
        path
        for path in sorted((vectors_root(metafunc.config) / "op-chains").glob("*.json*"))
        if not any(word in path.name for word in DIFFERENT)
    ]
    marks = () if given else pytest.mark.slow
    metafunc.parametrize("path", [pytest.param(path, id=path.name.split(".")[0], marks=marks) for path in paths])


def op_node_passes(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """`kroma recordings run` of one chain, on op-node and op-geth as examples/derivation_suite starts them."""
    monkeypatch.setenv("GETH", str(program("geth")))
    monkeypatch.setenv("OP_NODE", str(program("op-node")))
    suite, report = folder / "suite", folder / "report.json"
    assert main(["recordings", "export", str(suite), str(path)]) == 0
    command = ["recordings", "run", *options, "--work", str(folder / "work"), "--report", str(report), str(suite), "--"]
    assert main([*command, "sh", str(SCRIPT), *PLACES]) == 0, report.read_text()


def test_op_node_derives_a_served_recording_to_its_recorded_head(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    op_node_passes(path, tmp_path, monkeypatch, "--seconds", "150")


@pytest.mark.slow
def test_op_node_comes_to_the_recorded_head_of_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    op_node_passes(CHAINS / "reorg-ecotone.json.xz", tmp_path, monkeypatch, "--steps", "--seconds", "60")


def test_an_op_node_with_other_rules_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rollup.json has a channel timeout that is shorter than the chain's."""
    monkeypatch.setenv("GETH", str(program("geth")))
    monkeypatch.setenv("OP_NODE", str(program("op-node")))
    suite, report = tmp_path / "suite", tmp_path / "report.json"
    assert main(["recordings", "export", str(suite), str(CHAINS / "timeouts-fjord.json.xz")]) == 0
    change = 'sed -i "s/\\"channel_timeout\\": [0-9]*/\\"channel_timeout\\": 2/" "$4" && exec sh "$@"'
    command = ["recordings", "run", "--seconds", "10", "--report", str(report), str(suite), "--", "sh", "-c", change]
    assert main([*command, "sh", str(SCRIPT), *PLACES]) == 1
    assert "it has no L2 block 2" in json.loads(report.read_text())["results"][0]["reason"]
