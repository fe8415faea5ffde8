"""Every recording served by `kroma serve` to an unmodified op-node on op-geth: it comes to the recorded head.

A few of them stand in `test_serve`; the whole set runs with `--all`, another one with `--vectors DIR`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.peers.l2 import op_geth, op_node
from tests.peers.node import kroma_serve
from tests.peers.rollup import read_vector, recorded_rollup
from tests.peers.rpc import shown_with
from tests.vectors.unit_files import vectors_root

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
    given = metafunc.config.getoption("--vectors") is not None
    paths = [
        path
        for path in sorted((vectors_root(metafunc.config) / "op-chains").glob("*.json*"))
        if not any(word in path.name for word in DIFFERENT)
    ]
    marks = () if given else pytest.mark.slow
    metafunc.parametrize("path", [pytest.param(path, id=path.name.split(".")[0], marks=marks) for path in paths])


def test_op_node_derives_a_served_recording_to_its_recorded_head(path: Path, tmp_path: Path) -> None:
    world = read_vector(path)
    rollup = recorded_rollup(world)
    expected = world["expected"]["safe_after"][-1]["safe_l2"]

    async def main() -> None:
        async with (
            kroma_serve(tmp_path / "l1", path) as l1,
            op_geth(tmp_path / "op-geth", rollup) as engine,
            op_node(tmp_path, rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True) as node,
        ):
            with shown_with(node.running):
                status = await node.until_safe(
                    expected["number"], seconds=150 if len(world["l1"]["blocks"]) > 300 else 60
                )
                assert status["safe_l2"]["hash"] == expected["hash"]

    trio.run(main)
