"""An unmodified op-batcher whose rollup node is ours: it posts what our node tells it of, and op-node derives it.

Our node hears of unsafe blocks through `admin_postUnsafePayload`, as a conductor would tell it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from kroma_core.codec.payloads import envelope_to_json, payload_from_header
from kroma_core.codec.rpc_blocks import header_from_json
from tests.peers.l1 import anvil
from tests.peers.l2 import OpNode, op_batcher
from tests.peers.node import PYEVM, kroma, l1_rpc, verifier
from tests.peers.programs import free_port
from tests.peers.rpc import Rpc, shown_with, until
from tests.peers.scenarios import sequenced

BLOCKS = 30


async def envelope(engine: Rpc, number: int) -> dict[str, Any]:
    """A block of op-geth as an execution payload."""
    block = await engine.block(number)
    header = header_from_json(block)
    raw = [await engine.call("debug_getRawTransaction", transaction) for transaction in block["transactions"]]
    return envelope_to_json(payload_from_header(header, header.hash, [bytes.fromhex(each[2:]) for each in raw]))


def test_op_batcher_posts_what_our_node_tells_it_of(tmp_path: Path) -> None:
    async def main() -> None:
        async with anvil(tmp_path / "l1") as l1, sequenced(tmp_path, l1) as world:
            await world.use(0, transactions=10)
            await world.sequencer.until_unsafe(BLOCKS)
            last = int((await world.stop())["number"], 16)
            profile = verifier(
                tmp_path / "ours",
                world.rollup,
                l1=l1_rpc(l1.url),
                engine=PYEVM,
                rpc={"port": free_port(), "admin": True},
            )
            async with kroma(tmp_path / "ours", profile) as ours:
                with shown_with(ours.running):
                    for number in range(1, last + 1):
                        await ours.rpc.call("admin_postUnsafePayload", await envelope(world.engine.rpc, number))
                    await until(
                        ours.status,
                        lambda status: bool(status["unsafe_l2"]["number"] == last),
                        seconds=60,
                        what=f"our unsafe head at {last}",
                    )
                    told = OpNode(rpc=ours.rpc, running=ours.running)
                    async with op_batcher(tmp_path / "batcher", l1=l1.url, engine=world.engine, node=told) as batcher:
                        with shown_with(batcher.running):
                            await l1.keep_mining(1)
                            await world.sequencer.until_safe(last)
                            status = await ours.until_safe(last)
                    theirs = await world.sequencer.status()
                    assert status["safe_l2"] == status["unsafe_l2"] == theirs["safe_l2"]

    trio.run(main)
