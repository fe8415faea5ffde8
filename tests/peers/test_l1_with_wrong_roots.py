"""anvil's transaction root is wrong in blocks with blob transactions: our node says so, and goes on where told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import rlp
import trio

from tests.peers.l1 import BATCHER, CHAIN_ID, Anvil, anvil
from tests.peers.node import PYEVM, kroma, l1_rpc, verifier
from tests.peers.rpc import until
from tests.peers.scenarios import World, posted_on_anvil, sequenced

INFINITY = b"\xc0" + bytes(47)
"""Commitment to a blob of zeros, and the proof of it."""


async def send_blob(l1: Anvil) -> None:
    """A foreign transaction with a blob."""
    raw = BATCHER.blob(chain_id=CHAIN_ID, nonce=0, to=bytes(20), blob_hashes=[b"\1" + sha256(INFINITY).digest()[1:]])
    wrapped = b"\3" + rlp.encode([rlp.decode(raw[1:]), [bytes(131_072)], [INFINITY], [INFINITY]])
    sent = await l1.rpc.call("eth_sendRawTransaction", "0x" + wrapped.hex())
    await l1.mine()
    assert (await l1.rpc.call("eth_getTransactionReceipt", sent))["status"] == "0x1"


@asynccontextmanager
async def posted_after_a_blob(folder: Path) -> AsyncIterator[tuple[World, Anvil, int]]:
    """A chain on an anvil that has a blob transaction in its first blocks; the number of the last safe block."""
    async with anvil(folder / "l1") as l1:
        await send_blob(l1)
        async with sequenced(folder, l1, trust_l1=True) as world:
            await l1.mine(100)
            status = await posted_on_anvil(world, l1, blocks=20)
            yield world, l1, status["safe_l2"]["number"]


def test_the_node_says_what_is_wrong_and_goes_on_where_it_is_told_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with posted_after_a_blob(tmp_path) as (world, l1, last):
            folder = tmp_path / "strict"
            async with kroma(folder, verifier(folder, world.rollup, l1=l1_rpc(l1.url), engine=PYEVM)) as node:

                async def log() -> str:
                    return node.running.log.read_text()

                told = await until(
                    log, lambda text: "skip_transactions_root" in text, seconds=30, what="a word about the root"
                )
                assert "in their network form, with sidecars, as no Ethereum block does (anvil does)" in told
                assert (await node.status())["safe_l2"]["number"] == 0
            folder = tmp_path / "trusting"
            trusting = {**l1_rpc(l1.url), "skip_transactions_root": True}
            async with kroma(folder, verifier(folder, world.rollup, l1=trusting, engine=PYEVM)) as node:
                status = await node.until_safe(last)
                reference = await world.sequencer.status()
                assert status["safe_l2"] == reference["safe_l2"]
                assert "skip_transactions_root" in node.running.log.read_text()

    trio.run(main)
