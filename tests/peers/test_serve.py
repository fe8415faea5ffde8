"""`kroma serve` as the L1 of an unmodified op-node: it derives the recorded chain on op-geth, hash for hash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.peers.l2 import OpNode, op_geth, op_node
from tests.peers.node import ServedL1, kroma_serve
from tests.peers.rollup import CHAINS, read_vector, recorded_rollup
from tests.peers.rpc import shown_with, until


@asynccontextmanager
async def following(folder: Path, name: str, *options: str) -> AsyncIterator[tuple[dict[str, Any], ServedL1, OpNode]]:
    """A recorded world, served, and op-node on a fresh op-geth.

    op-node believes what the L1 says of its state: a recording has none to prove it with. Receipts it checks.
    """
    path = CHAINS / f"{name}.json.xz"
    world = read_vector(path)
    rollup = recorded_rollup(world)
    async with (
        kroma_serve(folder / "l1", path, *options) as l1,
        op_geth(folder / "el", rollup) as engine,
        op_node(folder / "cl", rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True) as node,
    ):
        with shown_with(l1.running, node.running):
            yield world, l1, node


@pytest.mark.parametrize("name", ["plain-bedrock", "blobs-ecotone", "blobs-jovian", "upgrade-bedrock-to-jovian"])
def test_op_node_derives_a_served_recording_to_its_recorded_head(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with following(tmp_path, name) as (world, _, node):
            expected = world["expected"]["safe_after"][-1]["safe_l2"]
            status = await node.until_safe(expected["number"])
            assert status["safe_l2"]["hash"] == expected["hash"]

    trio.run(main)


def test_op_node_follows_a_timeline_step_by_step_through_its_reorgs(tmp_path: Path) -> None:
    async def main() -> None:
        async with following(tmp_path, "reorg-ecotone", "--step") as (world, l1, node):
            for step, expected in enumerate(world["expected"]["safe_after"]):
                if step:
                    assert (await l1.rpc.call("kroma_step"))["step"] == step
                safe = expected["safe_l2"]["hash"]
                await until(
                    node.status,
                    lambda status, safe=safe: bool(status["safe_l2"]["hash"] == safe),  # type: ignore[misc]  # a default has no type
                    seconds=60,
                    what=f"safe head {safe} after step {step}",
                )

    trio.run(main)
