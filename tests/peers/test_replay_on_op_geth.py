"""Recorded chains, derived by our driver and executed by a real op-geth over the Engine API, to the recorded hashes.

A selection by upgrade and scenario in the usual run, the whole set with `--all`; `--vectors DIR` takes another set.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.peers.l2 import op_geth
from tests.peers.node import engine_rpc, replayed
from tests.peers.rollup import read_vector, recorded_rollup
from tests.vectors.unit_files import vectors_root

QUICK = (
    "plain-bedrock",
    "upgrade-bedrock-to-jovian",
    "crossing-ecotone",
    "reorg-delta",
    "invalid-payload-canyon",
    "invalid-tx-holocene-1",
    "blobs-jovian",
    "hostile-jovian-1",
)
"""What runs without `--all`: all upgrades, and each way for an engine to refuse a block, or to go back."""
DIFFERENT = {
    "karst": "op-geth v1.101702.3-rc.7 has no precompile set of this upgrade, and the recording was made with it",
    "lagoon": "op-geth v1.101702.3-rc.7 has no precompile set of the upgrade before it",
}
"""Words in the names of recordings that this op-geth cannot execute as recorded, with the reason."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    given = metafunc.config.getoption("--vectors") is not None
    paths = [
        path
        for path in sorted((vectors_root(metafunc.config) / "op-chains").glob("*.json*"))
        if not any(word in path.name for word in DIFFERENT)
    ]
    metafunc.parametrize(
        "path",
        [
            pytest.param(path, id=_name(path), marks=() if given or _name(path) in QUICK else pytest.mark.slow)
            for path in paths
        ],
    )


def _name(path: Path) -> str:
    return path.name.split(".")[0]


def test_replay_on_op_geth_equals_the_recorded_chain(path: Path, tmp_path: Path) -> None:
    world = read_vector(path)
    last = world["expected"]["blocks"][-1]

    async def main() -> None:
        async with op_geth(tmp_path / "op-geth", recorded_rollup(world)) as engine:
            code, told, errors = await replayed(tmp_path, path, engine_rpc(engine), seconds=600)
            assert (code, told.get("difference"), told.get("errors"), errors) == (0, None, None, "")
            assert told["compared"]
            assert told["scope"] == "all"
            assert told["head"] == {"number": last["number"], "hash": last["hash"]}
            assert (await engine.rpc.block(last["number"]))["hash"] == last["hash"]

    trio.run(main)
