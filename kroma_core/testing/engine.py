"""Conformance suite of role `engine`: what every engine has to do.

    class TestMyEngine(EngineSuite):
        recording_path = Path("plain-jovian.json.xz")
        def open_engine(self, chain, folder):
            return my_engine(chain, folder)

The recording supplies a chain whose blocks a reference client executed: the engine is given attributes and must arrive
at the same payloads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import Applied, Building, ExecutionEngine, Gone, Inconsistent, Invalid, Syncing, Valid
from kroma_core.api.shape import shape_problems
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import NotFound
from kroma_core.l2 import L2Label, Payload, PayloadAttributes
from kroma_core.testing.engine_faults import EngineFaults
from kroma_core.testing.engine_world import ABSENT, BLOCKS, World
from kroma_core.testing.levels import Level, level
from kroma_core.testing.wallet import Wallet
from kroma_core.types import L2Number

COMPUTED = ("state_root", "receipts_root", "logs_bloom", "gas_used", "base_fee", "number", "withdrawals_root")
"""Fields that follow from parent and attributes: a block that has them wrong is invalid also under its own hash."""


class EngineSuite(EngineFaults):
    """Inherit, define `open_engine`, and name the class `Test...`."""

    persistent = True
    """Whether the engine finds its chain again when it is opened a second time."""
    keeps_safe_head = True
    """Whether it then still knows its safe head; geth takes the finalised block for it."""

    @level(Level.DECLARED)
    def test_the_engine_has_the_methods_of_its_protocol(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert shape_problems(world.engine, ExecutionEngine) == []

        self.run(body, tmp_path)

    def test_a_fresh_engine_stands_at_genesis(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert await world.engine.heads() == world.heads(0)
            for name in (world.genesis, L2Number(0), *L2Label):
                block = await world.engine.block(name)
                assert (block.hash, block.number, block.transactions) == (world.genesis, 0, ())
                assert block.timestamp == world.chain.rollup.genesis.l2_time

        self.run(body, tmp_path)

    def test_attributes_become_the_blocks_that_the_reference_made(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            for number, block in enumerate(world.blocks, 1):
                payload = await world.built(number)
                assert payload == block.payload
                assert await world.engine.execute(payload) == Valid()
                assert await world.engine.set_heads(world.heads(number, number - 1)) == Applied()
                assert await world.engine.heads() == world.heads(number, number - 1)
            for number, block in enumerate(world.blocks, 1):
                assert await world.engine.block(L2Number(number)) == block.payload
                assert await world.engine.block(block.hash) == block.payload
                assert await world.engine.receipts(block.hash) == block.receipts

        self.run(body, tmp_path)

    def test_blocks_made_elsewhere_are_executed_without_building(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            for block in world.blocks:
                assert await world.engine.execute(block.payload) == Valid()
                assert await world.engine.execute(block.payload) == Valid()
            assert await world.engine.heads() == world.heads(0)
            assert await world.engine.set_heads(world.heads(BLOCKS, 3, 2)) == Applied()
            for label, number in ((L2Label.UNSAFE, BLOCKS), (L2Label.SAFE, 3), (L2Label.FINALIZED, 2)):
                assert (await world.engine.block(label)).number == number

        self.run(body, tmp_path)

    def test_a_changed_field_of_a_payload_is_refused(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(2)
            good = world.blocks[2].payload
            for name, bad in changed_payloads(good):
                result = await world.engine.execute(bad)
                assert isinstance(result, Invalid | Syncing), name
                assert isinstance(result, Invalid) or name == "parent_hash", name
                if name in COMPUTED:
                    rehashed = attrs.evolve(bad, hash=block_hash_of(bad))
                    assert isinstance(await world.engine.execute(rehashed), Invalid), f"{name}, under its own hash"
            assert await world.engine.heads() == world.heads(2)
            assert await world.engine.execute(good) == Valid()

        self.run(body, tmp_path)

    def test_attributes_with_a_transaction_that_cannot_stand_are_invalid(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(1)
            good = world.blocks[1].attributes
            for name, raw in impossible_transactions(world.chain.rollup.l2_chain_id):
                bad = attrs.evolve(good, transactions=(*good.transactions, raw))
                assert isinstance(await self.outcome(world, bad, 1), Invalid), name
                assert (await world.engine.heads()).unsafe == world.heads(1).unsafe
            assert await world.built(2) == world.blocks[1].payload

        self.run(body, tmp_path)

    async def outcome(self, world: World, attributes: PayloadAttributes, parent: int) -> object:
        """What becomes of attributes: the answer of `build`, or of `seal` where building began."""
        heads = world.heads(parent)
        building = await world.engine.build(heads.unsafe, attributes, heads)
        return await world.engine.seal(building) if isinstance(building, Building) else building

    def test_an_unknown_parent_is_waited_for(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert await world.engine.execute(world.blocks[2].payload) == Syncing()
            heads = attrs.evolve(world.heads(0), unsafe=ABSENT)
            assert await world.engine.build(ABSENT, world.blocks[0].attributes, heads) == Syncing()
            assert await world.engine.set_heads(heads) == Syncing()
            assert await world.engine.heads() == world.heads(0)

        self.run(body, tmp_path)

    def test_a_building_is_sealed_once_and_not_after_it_was_cancelled(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            attributes, heads = world.blocks[0].attributes, world.heads(0)
            building = await world.engine.build(world.genesis, attributes, heads)
            assert isinstance(building, Building)
            await world.engine.cancel(building)
            await world.engine.cancel(building)
            assert await world.engine.seal(building) == Gone()
            assert await world.engine.seal(Building(id=b"unknown!", parent=world.genesis)) == Gone()
            assert await world.built(1) == world.blocks[0].payload

        self.run(body, tmp_path)

    def test_heads_that_contradict_each_other_are_refused(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(3)
            assert isinstance(await world.engine.set_heads(world.heads(2, 3)), Inconsistent)
            assert isinstance(await world.engine.set_heads(world.heads(3, 1, 2)), Inconsistent)
            assert await world.engine.heads() == world.heads(3)

        self.run(body, tmp_path)

    def test_blocks_that_are_not_there_are_not_found(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(2)
            for ask in (
                lambda: world.engine.block(ABSENT),
                lambda: world.engine.block(L2Number(3)),
                lambda: world.engine.block(L2Number(10**9)),
                lambda: world.engine.receipts(ABSENT),
                lambda: world.engine.storage_root(bytes(20), ABSENT),
            ):
                with pytest.raises(NotFound):
                    await ask()

        self.run(body, tmp_path)

    def test_the_chain_can_be_built_again_from_a_block_below(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(4)
            assert await world.built(2) == world.blocks[1].payload
            assert await world.engine.execute(world.blocks[1].payload) == Valid()
            assert await world.engine.set_heads(world.heads(2)) == Applied()
            for number in (3, 4, 5):
                assert await world.engine.execute(await world.built(number)) == Valid()
                assert await world.engine.set_heads(world.heads(number)) == Applied()
            assert await world.engine.heads() == world.heads(5)

        self.run(body, tmp_path)

    def test_opened_again_it_finds_its_heads_and_blocks(self, tmp_path: Path) -> None:
        if not self.persistent:
            pytest.skip("the maker says that the engine keeps nothing")

        async def before(world: World) -> None:
            await world.advance(3)
            assert await world.engine.set_heads(world.heads(3, 2, 1)) == Applied()

        async def after(world: World) -> None:
            assert await world.engine.heads() == world.heads(3, 2 if self.keeps_safe_head else 1, 1)
            for number in (1, 2, 3):
                assert await world.engine.block(L2Number(number)) == world.blocks[number - 1].payload
            assert await world.built(4) == world.blocks[3].payload

        self.run(before, tmp_path)
        self.run(after, tmp_path)


def changed_payloads(payload: Payload) -> Iterator[tuple[str, Payload]]:
    """The payload with one field changed after the other, its hash kept."""
    for field in attrs.fields(Payload):
        value = getattr(payload, field.name)
        for changed in _changes(value):
            yield field.name, attrs.evolve(payload, **{field.name: changed})


def _changes(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, bytes):
        yield value[:-1] + bytes((value[-1] ^ 1,)) if value else b"\0"
    elif isinstance(value, tuple) and value:
        yield value[:-1]
        yield (*value[:-1], value[-1][:-1] + bytes((value[-1][-1] ^ 1,)))


def impossible_transactions(chain_id: int) -> Iterator[tuple[str, bytes]]:
    """Transactions that no block can hold."""
    poor = Wallet.named("an account without money")
    yield "empty", b""
    yield "unknown type", b"\x05\xc0"
    yield "cut short", poor.dynamic_fee(chain_id=chain_id, nonce=0, to=bytes(20))[:-1]
    yield "another chain", poor.dynamic_fee(chain_id=chain_id + 1, nonce=0, to=bytes(20))
    yield "no balance", poor.dynamic_fee(chain_id=chain_id, nonce=0, to=bytes(20))
    yield "nonce too high", poor.dynamic_fee(chain_id=chain_id, nonce=5, to=bytes(20), fee_cap=0, tip=0)
