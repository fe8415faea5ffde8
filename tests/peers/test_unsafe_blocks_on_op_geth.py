"""Blocks that come ahead of L1, on a real op-geth: taken up in any order, confirmed by L1, or replaced by it."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.api import Building, ExecutionEngine, Role, Sealed, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.deposits import is_deposit
from kroma_core.errors import NotFound
from kroma_core.events import BlockDerived, Event
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.l2 import Payload
from kroma_core.node.driver import Driver
from kroma_core.recording import ExpectedBlock, Recording, VerifiedReader, open_recording
from kroma_core.types import Hash32, L1Number, L1Ref
from tests.contract.offers import opened
from tests.peers.l2 import OpGeth, op_geth
from tests.peers.rollup import read_vector, recorded_rollup
from tests.vectors.unit_files import OWN_VECTORS

RECORDING = OWN_VECTORS / "op-chains" / "plain-ecotone.json.xz"


class ShownL1:
    """A recorded L1 that is shown up to a block, which moves when the test says so."""

    def __init__(self, recording: Recording) -> None:
        self._reader = VerifiedReader(recording)
        self._last = self._reader.heads(recording.step_count - 1).unsafe
        self._head = self._reader.canonical(self._last.hash, L1Number(recording.span()[0]))
        self._moved = trio.Event()

    def show_all(self) -> None:
        self._head = self._last
        self._moved.set()

    async def head(self, label: L1Label) -> L1Ref:
        await trio.lowlevel.checkpoint()
        if label is not L1Label.UNSAFE:
            raise NotFound(f"no {label} head")
        return self._head

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        await trio.lowlevel.checkpoint()
        return self._reader.ref(block) if isinstance(block, bytes) else self._reader.canonical(self._head.hash, block)

    async def block(self, block_hash: Hash32) -> L1Block:
        await trio.lowlevel.checkpoint()
        return self._reader.block(block_hash)

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        await trio.lowlevel.checkpoint()
        return self._reader.receipts(block_hash)

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        yield L1Heads(unsafe=self._head)
        await self._moved.wait()
        yield L1Heads(unsafe=self._head)
        await trio.sleep_forever()


@attrs.frozen(kw_only=True)
class Live:
    """A driver at work on op-geth, beside an L1 that shows nothing yet."""

    driver: Driver
    engine: ExecutionEngine
    geth: OpGeth
    l1: ShownL1
    chain: ChainConfig
    blocks: list[ExpectedBlock]
    events: list[Event]

    async def submit(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            await self.driver.submit_unsafe(payload, "test")

    async def until_unsafe(self, payload: Payload) -> None:
        while self.driver.heads.unsafe.hash != payload.hash:
            await trio.sleep(0.02)

    async def until_safe(self, payload: Payload) -> None:
        while self.driver.heads.safe.hash != payload.hash:
            await trio.sleep(0.02)
        await trio.sleep(0.2)

    async def label(self, label: str) -> str:
        found: str = (await self.geth.rpc.block(label))["hash"]
        return found


@asynccontextmanager
async def live(folder: Path) -> AsyncIterator[Live]:
    with open_recording(RECORDING) as recording, trio.fail_after(120):
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(RECORDING)
        )
        assert recording.expected is not None
        l1, events = ShownL1(recording), list[Event]()
        async with (
            op_geth(folder, recorded_rollup(read_vector(RECORDING))) as geth,
            opened(
                Role.ENGINE, "rpc", chain, folder, {"url": geth.engine_url, "jwt_secret": geth.jwt}, clock=time.time
            ) as engine,
            opened(Role.DATA, "calldata", chain, folder, {}) as calldata,
            opened(Role.BLOBS, "cassette", chain, folder, {"path": RECORDING}) as blobs,
            opened(Role.DATA, "blob", chain, folder, {}, blobs=(blobs,)) as blob,
            trio.open_nursery() as nursery,
        ):
            driver = Driver(config=chain, l1=l1, data=[calldata, blob], engine=engine, emit=events.append)
            nursery.start_soon(driver.run)
            while not driver.started:
                await trio.sleep(0.02)
            yield Live(
                driver=driver,
                engine=engine,
                geth=geth,
                l1=l1,
                chain=chain,
                blocks=list(recording.expected.blocks()),
                events=events,
            )
            nursery.cancel_scope.cancel()


def test_unsafe_blocks_in_any_order_are_the_chain_and_l1_confirms_them(tmp_path: Path) -> None:
    async def main() -> None:
        async with live(tmp_path) as node:
            payloads = [block.payload for block in node.blocks]
            shuffled = random.Random(3).sample(payloads, len(payloads))
            await node.submit(shuffled)
            await node.until_unsafe(payloads[-1])
            assert await node.label("latest") == "0x" + payloads[-1].hash.hex()
            assert node.driver.heads.safe.number == 0
            node.l1.show_all()
            await node.until_safe(payloads[-1])
            assert await node.label("safe") == "0x" + payloads[-1].hash.hex()
            derived = [event for event in node.events if isinstance(event, BlockDerived)]
            assert {event.consolidated for event in derived} == {True}

    trio.run(main)


def test_unsafe_blocks_that_l1_contradicts_give_way(tmp_path: Path) -> None:
    """The unsafe chain has the recorded blocks' deposits alone from block 5 on."""

    async def main() -> None:
        async with live(tmp_path) as node:
            payloads = [block.payload for block in node.blocks]
            true = [block for block in node.blocks if block.number <= 4]
            await node.submit([block.payload for block in true])
            await node.until_unsafe(true[-1].payload)
            parent = true[-1].payload
            for block in node.blocks[4:12]:
                deposits = tuple(raw for raw in block.attributes.transactions if is_deposit(raw))
                attributes = attrs.evolve(block.attributes, transactions=deposits)
                heads = attrs.evolve(node.driver.heads.forkchoice, unsafe=parent.hash)
                building = await node.engine.build(parent.hash, attributes, heads)
                assert isinstance(building, Building)
                sealed = await node.engine.seal(building)
                assert isinstance(sealed, Sealed)
                assert isinstance(await node.engine.execute(sealed.payload), Valid)
                parent = sealed.payload
                await node.submit([parent])
                await node.until_unsafe(parent)
            assert await node.label("latest") == "0x" + parent.hash.hex()
            assert parent.hash != payloads[11].hash
            node.l1.show_all()
            await node.until_safe(payloads[-1])
            assert await node.label("latest") == "0x" + payloads[-1].hash.hex()
            assert await node.label("safe") == "0x" + payloads[-1].hash.hex()

    trio.run(main)


@pytest.mark.parametrize("gap", [2, 5])
def test_a_gap_is_filled_by_l1_where_op_geth_has_nobody_to_ask(gap: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with live(tmp_path) as node:
            payloads = [block.payload for block in node.blocks]
            await node.submit(payloads[:3] + payloads[3 + gap : 20])
            await node.until_unsafe(payloads[2])
            await trio.sleep(6)  # the block above the gap has been shown to op-geth meanwhile
            assert node.driver.heads.unsafe.hash == payloads[2].hash
            node.l1.show_all()
            await node.until_safe(payloads[-1])
            assert await node.label("latest") == "0x" + payloads[-1].hash.hex()

    trio.run(main)
