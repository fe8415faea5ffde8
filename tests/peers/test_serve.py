"""`kroma serve` as the L1 of an unmodified op-node: it derives the recorded chain on op-geth, hash for hash."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.peers.l2 import OpNode, op_geth, op_node
from tests.peers.programs import Running, free_port, running
from tests.peers.rollup import CHAINS, read_vector, recorded_rollup
from tests.peers.rpc import Rpc, shown_with, until

KROMA = Path(sys.executable).with_name("kroma")


@attrs.frozen(kw_only=True)
class Served:
    """A recording that is served."""

    rpc: Rpc
    beacon: str
    running: Running
    world: dict[str, Any]


@asynccontextmanager
async def served(folder: Path, name: str, *options: str) -> AsyncIterator[Served]:
    port, beacon = free_port(), free_port()
    path = CHAINS / f"{name}.json.xz"
    command: list[str | Path] = [KROMA, "serve", path, "--port", str(port), "--beacon-port", str(beacon), *options]
    rpc = Rpc(f"http://127.0.0.1:{port}")
    async with running("kroma-serve", command, folder, ready=rpc.answers) as started:
        yield Served(rpc=rpc, beacon=f"http://127.0.0.1:{beacon}", running=started, world=read_vector(path))


@asynccontextmanager
async def following(folder: Path, l1: Served) -> AsyncIterator[OpNode]:
    """op-node on a fresh op-geth. It believes what the L1 says of its state: a recording has none to prove it with."""
    rollup = recorded_rollup(l1.world)
    async with (
        op_geth(folder / "el", rollup) as engine,
        op_node(folder / "cl", rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True) as node,
    ):
        with shown_with(l1.running, node.running):
            yield node


@pytest.mark.parametrize("name", ["plain-bedrock", "blobs-ecotone", "blobs-jovian", "upgrade-bedrock-to-jovian"])
def test_op_node_derives_a_served_recording_to_its_recorded_head(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "l1", name) as l1, following(tmp_path, l1) as node:
            expected = l1.world["expected"]["safe_after"][-1]["safe_l2"]
            status = await node.until_safe(expected["number"])
            assert status["safe_l2"]["hash"] == expected["hash"]

    trio.run(main)


def test_op_node_follows_a_timeline_step_by_step_through_its_reorgs(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "l1", "reorg-ecotone", "--step") as l1, following(tmp_path, l1) as node:
            for step, expected in enumerate(l1.world["expected"]["safe_after"]):
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
