"""Chains that real programs make: op-node sequences on op-geth, op-batcher posts, with deposits and config changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs

from kroma_core.testing.l1_logs import FEE_SCALARS, GAS_LIMIT, config_update_log, deposit_log, word
from tests.peers.beacon import BeaconApi
from tests.peers.l1 import ETHER, L1, PORTAL, SYSTEM_CONFIG, Anvil
from tests.peers.l2 import OpBatcher, OpGeth, OpNode, op_batcher, op_geth, op_node, with_genesis_hash
from tests.peers.rollup import USER, Rollup, rollup_on
from tests.peers.rpc import shown_with, until

DEPOSITOR = bytes.fromhex("d3b0517000000000000000000000000000000001")
CONTRACTS = [bytes.fromhex(f"1000000000000000000000000000000000{n:06x}") for n in (2, 5, 6)]
"""Of the recorded worlds' genesis: one stores its input, one its surroundings, one begins with PUSH0."""


class Node(Protocol):
    """Ours, or op-node."""

    async def status(self) -> dict[str, Any]: ...


@attrs.frozen(kw_only=True)
class World:
    """The programs that make a chain, all running."""

    folder: Path
    rollup: Rollup
    l1: L1
    engine: OpGeth
    sequencer: OpNode

    async def use(self, nonce: int, *, transactions: int) -> int:
        """Have the user send transactions on L2; the next nonce."""
        for index in range(nonce, nonce + transactions):
            to = CONTRACTS[index % len(CONTRACTS)]
            raw = USER.dynamic_fee(
                chain_id=self.rollup.chain_id, nonce=index, to=to, data=word(index) * 4, gas=300_000, value=index
            )
            await self.engine.rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        return nonce + transactions

    async def stop(self) -> dict[str, Any]:
        """End sequencing; the last block."""
        return await self.engine.rpc.block(await self.sequencer.stop_sequencing())


async def deposit(l1: L1, *, gas: int = 200_000) -> str:
    """A deposit that brings ether and calls a contract; the transaction on L1."""
    log = deposit_log(PORTAL, sender=DEPOSITOR, to=CONTRACTS[0], mint=ETHER, value=7, gas=gas, data=word(1) * 2)
    return await l1.emit(log)


async def raise_gas_limit(l1: L1, limit: int) -> str:
    """A config update; the transaction on L1."""
    return await l1.emit(config_update_log(SYSTEM_CONFIG, GAS_LIMIT, word(limit)))


async def change_fees(l1: L1) -> str:
    """Scalars of version 1, as since the upgrade that brought blobs; the transaction on L1."""
    scalars = b"\1" + bytes(23) + (901_000).to_bytes(4, "big") + (2_345).to_bytes(4, "big")
    return await l1.emit(config_update_log(SYSTEM_CONFIG, FEE_SCALARS, word(0) + scalars))


async def eventful_blocks(l1: Anvil, *, blocks: int) -> None:
    """L1 blocks of which some hold deposits and config updates."""
    last = await l1.rpc.number() + blocks
    for gap in (3, 10, 1):
        await deposit(l1)
        await l1.mine(gap)
    await raise_gas_limit(l1, 31_000_000)
    await l1.mine(20)
    await deposit(l1)
    await change_fees(l1)
    await deposit(l1, gas=400_000)
    await l1.mine(last - await l1.rpc.number())


@asynccontextmanager
async def sequenced(
    folder: Path, l1: L1, rollup: Rollup | None = None, *, beacon: BeaconApi | None = None, trust_l1: bool = False
) -> AsyncIterator[World]:
    """op-node makes blocks on op-geth. The rollup begins with the L1's first block, all upgrades active, by default."""
    made = rollup or await with_genesis_hash(await rollup_on(l1), folder / "genesis")
    url = None if beacon is None else beacon.url
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(op_geth(folder / "op-geth", made))
        node = await stack.enter_async_context(
            op_node(
                folder / "op-node", rollup=made, l1=l1.url, engine=engine, beacon=url, sequencer=True, trust_l1=trust_l1
            )
        )
        stack.enter_context(shown_with(node.running))
        yield World(folder=folder, rollup=made, l1=l1, engine=engine, sequencer=node)


@asynccontextmanager
async def posting(world: World, *, to: str | None = None, blobs: bool = False, **how: Any) -> AsyncIterator[OpBatcher]:
    """op-batcher posts what the sequencer makes; `to`: the URL that takes its transactions, the L1's by default."""
    url = world.l1.url if to is None else to
    folder = world.folder / "op-batcher"
    async with op_batcher(folder, l1=url, engine=world.engine, node=world.sequencer, blobs=blobs, **how) as batcher:
        with shown_with(batcher.running):
            yield batcher


async def posted_on_anvil(world: World, l1: Anvil, *, blocks: int, **how: Any) -> dict[str, Any]:
    """Sequence and post `blocks` or a few more, with transactions in them. The sequencer's sync status at the end.

    Nothing moves any more then: neither L1 nor L2. `how` is for the batcher.
    """
    nonce = await world.use(0, transactions=20)
    await world.sequencer.until_unsafe(blocks // 2)
    await world.use(nonce, transactions=20)
    await world.sequencer.until_unsafe(blocks)
    last = int((await world.stop())["number"], 16)
    async with posting(world, **how):
        await l1.keep_mining(1)
        await world.sequencer.until_safe(last)
        await l1.keep_mining(0)
    return await at_rest(world.sequencer, l1)


async def at_rest(node: Node, l1: L1) -> dict[str, Any]:
    """A node's sync status once it has read all of an L1 that stands still, and has its labels."""
    head, safe, finalized = [(await l1.rpc.block(label))["hash"] for label in ("latest", "safe", "finalized")]
    wanted = {"head_l1": head, "current_l1": head, "safe_l1": safe, "finalized_l1": finalized}
    wanted["current_l1_finalized"] = finalized
    return await until(
        node.status,
        lambda status: all(status[name]["hash"] == block_hash for name, block_hash in wanted.items()),
        seconds=30,
        what="a sync status that is at rest",
    )
