"""Blocks that come ahead of L1: in order, checked, and never in the way of what L1 says."""

from __future__ import annotations

import attrs
import pytest
import trio

from kroma_core.api import Invalid, Syncing
from kroma_core.codec.payloads import block_hash_of
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.errors import DecodeError, NotFound, TemporaryError
from kroma_core.events import HeadsMoved
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import Payload
from kroma_core.node.profile import SyncMode
from kroma_core.types import Gas, Timestamp
from tests.actions.actors import ALICE, BOB, CAROL, Stumbling, World, new_engine, new_store, pyevm
from tests.actions.live import of, outcomes, rest, running, submit

CAROL_HAS_NOTHING = CAROL.dynamic_fee(chain_id=901, nonce=0, to=BOB.address, value=10**18, gas=21_000)


async def unsafe_world(fork: Fork = Fork.JOVIAN) -> World:
    """Six blocks that no batch tells of yet."""
    world = World.at(fork)
    world.l1.mine()
    await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    return world


def hashed(payload: Payload, **changes: object) -> Payload:
    """The payload with other fields, under the hash that these have."""
    changed = attrs.evolve(payload, **changes)
    return attrs.evolve(changed, hash=block_hash_of(changed))


class TestOrder:
    async def test_a_block_on_the_head_becomes_the_head(self) -> None:
        world = await unsafe_world()
        async with running(world.verifier()) as verifier:
            for block in world.sequencer.blocks:
                await submit(verifier, block)
                assert verifier.driver.heads.unsafe.hash == block.hash
                assert verifier.driver.heads.cross_unsafe.hash == block.hash
                assert of(verifier.events, HeadsMoved)[-1].unsafe.hash == block.hash
            assert verifier.driver.heads.safe.number == 0
            assert (await verifier.labels()) == (6, 0, 0)
        assert outcomes(verifier)[:2] == [(1, "queued"), (1, "inserted")]

    async def test_blocks_in_any_order_are_put_in_theirs(self) -> None:
        world = await unsafe_world()
        async with running(world.verifier()) as verifier:
            await submit(verifier, *world.sequencer.blocks[:0:-1])
            assert verifier.driver.heads.unsafe.number == 0
            queued = verifier.driver.status().queued_unsafe
            assert queued == l2_ref(world.sequencer.blocks[1], world.config)
            await submit(verifier, world.sequencer.blocks[0])
            assert verifier.driver.heads.unsafe.number == 6
            assert verifier.driver.status().queued_unsafe is None

    async def test_blocks_that_l1_brought_first_are_dropped(self) -> None:
        world = await unsafe_world()
        first, *others = world.sequencer.blocks
        async with running(world.verifier()) as verifier:
            await submit(verifier, *others)
            world.l1.mine([world.batch(first, *others)])
            await rest()
            assert verifier.driver.heads.safe.number == 6
            assert verifier.driver.status().queued_unsafe is None
            await submit(verifier, first)
        assert outcomes(verifier)[-1] == (1, "at or below the safe head")

    async def test_a_block_that_came_already_is_dropped(self) -> None:
        world = await unsafe_world()
        async with running(world.verifier()) as verifier:
            third = world.sequencer.blocks[2]
            await submit(verifier, third, third)
        assert outcomes(verifier) == [(3, "queued"), (3, "known already")]

    async def test_another_block_at_a_height_that_is_taken_is_dropped(self) -> None:
        """Only L1 replaces an unsafe block."""
        world = await unsafe_world()
        mine = world.sequencer.blocks[0]
        world.sequencer.rewind(0)
        theirs = await world.sequencer.build(world.transfer(BOB, CAROL))
        on_theirs = await world.sequencer.build()
        async with running(world.verifier()) as verifier:
            await submit(verifier, mine, theirs, on_theirs)
            assert verifier.driver.heads.unsafe.hash == mine.hash
        assert outcomes(verifier)[3:] == [
            (1, "inserted"),
            (1, "at or below the unsafe head"),
            (2, "not on the unsafe head"),
        ]


class TestChecks:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"hash": b"\7" * 32}, "its fields hash to 0x"),
            ({"timestamp": Timestamp(1)}, "expected the time"),
            ({"gas_used": Gas(30_000_001)}, "30000001 gas used, the limit is 30000000"),
            ({"number": 0}, "expected a block after genesis"),
            ({"transactions": ()}, "no transactions, so no L1 attributes"),
            ({"transactions": (b"\x7e\xc0",)}, "L2 block 1"),
        ],
        ids=["hash", "time", "gas", "genesis", "empty", "attributes"],
    )
    async def test_what_cannot_be_a_block_of_this_chain_is_refused(self, changes: dict[str, object], said: str) -> None:
        world = await unsafe_world()
        block = world.sequencer.blocks[0]
        bad = attrs.evolve(block, **changes) if "hash" in changes else hashed(block, **changes)
        async with running(world.verifier()) as verifier:
            with pytest.raises(DecodeError, match=said):
                await verifier.driver.submit_unsafe(bad, "test")
            assert verifier.driver.status().queued_unsafe is None

    async def test_a_block_that_the_engine_refuses_makes_way_for_the_true_one(self) -> None:
        world = await unsafe_world()
        block = world.sequencer.blocks[0]
        bad = hashed(block, state_root=b"\7" * 32)
        async with running(world.verifier()) as verifier:
            await submit(verifier, bad, block)
            assert verifier.driver.heads.unsafe.hash == block.hash
        assert (1, "refused by the engine") in outcomes(verifier)

    async def test_an_engine_that_is_away_gets_the_block_later(self) -> None:
        world = await unsafe_world()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            engine.instead("execute", TemporaryError("refused"), times=3)
            await submit(verifier, *world.sequencer.blocks)
            assert verifier.driver.heads.unsafe.number == 0
            await trio.sleep(10)
            assert verifier.driver.heads.unsafe.number == 6
        assert [retry.what for retry in verifier.retries] == ["insert unsafe blocks"] * 3


class TestL1Decides:
    async def test_unsafe_blocks_that_l1_confirms_are_not_built_again(self) -> None:
        world = await unsafe_world()
        async with running(world.verifier()) as verifier:
            await submit(verifier, *world.sequencer.blocks)
            world.l1.mine([world.batch(*world.sequencer.blocks)])
            await rest()
            assert verifier.driver.heads.safe.number == 6
        assert [block.consolidated for block in verifier.derived] == [True] * 6

    async def test_the_engine_is_told_once_an_l1_block_what_became_safe_of_what_it_had(self) -> None:
        world = await unsafe_world()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            await submit(verifier, *world.sequencer.blocks)
            before = engine.calls.count("set_heads")
            world.l1.mine([world.batch(*world.sequencer.blocks)])
            await rest()
            assert engine.calls.count("set_heads") == before + 1
            assert (await verifier.labels()) == (6, 6, 0)

    async def test_unsafe_blocks_that_l1_contradicts_give_way(self) -> None:
        world = await unsafe_world()
        unsafe = list(world.sequencer.blocks)
        world.sequencer.rewind(2)
        await world.sequencer.build_up_to_l1(world.transfer(BOB, CAROL))
        async with running(world.verifier()) as verifier:
            await submit(verifier, *unsafe)
            assert verifier.driver.heads.unsafe.hash == unsafe[-1].hash
            world.l1.mine([world.batch(*world.sequencer.blocks)])
            await rest()
            assert verifier.driver.heads.safe.hash == verifier.driver.heads.unsafe.hash
            assert verifier.driver.heads.safe.hash == world.sequencer.blocks[-1].hash
        assert [block.consolidated for block in verifier.derived] == [True, True, False, False, False, False]
        assert verifier.resets == []

    async def test_unsafe_blocks_are_taken_up_on_the_branch_that_l1_chose(self) -> None:
        world = await unsafe_world()
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        async with running(world.verifier()) as verifier:
            assert verifier.driver.heads.safe.number == 6
            more = await world.sequencer.build_up_to_l1()
            await submit(verifier, *more)
            world.l1.reorg(2)
            world.l1.mine_empty(3)
            await rest()
            assert verifier.driver.heads.safe.number == 0
            await world.sequencer.follow_l1()
            again = await world.sequencer.build_up_to_l1()
            await submit(verifier, *world.sequencer.blocks)
            assert verifier.driver.heads.unsafe.hash == again[-1].hash

    async def test_blocks_that_came_during_a_reset_stay(self) -> None:
        world = await unsafe_world()
        *first, last = world.sequencer.blocks
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            await submit(verifier, *first)
            world.l1.fail(TemporaryError("no answer"), times=2)  # the sync start waits for L1
            verifier.driver.request_reset("test")
            await rest()
            await submit(verifier, last)
            assert verifier.driver.heads.unsafe.hash == last.hash
            await trio.sleep(20)
            assert verifier.resets == ["test"]
            assert verifier.driver.heads.unsafe.hash == last.hash
            assert (await verifier.labels())[0] == last.number


class TestBackup:
    """A span batch replaces unsafe blocks, and then turns out to be invalid half way."""

    async def spoiled(self, world: World, good: int) -> Payload:
        """A span batch on L1 whose first `good` blocks are other ones than the unsafe blocks, the rest impossible."""
        world.sequencer.rewind(0)
        blocks = [await world.sequencer.build(world.transfer(BOB, CAROL)) for _ in range(good)]
        blocks += await world.sequencer.build_up_to_l1()
        bad = attrs.evolve(blocks[good], transactions=(*blocks[good].transactions, CAROL_HAS_NOTHING))
        world.l1.mine([world.batch(*blocks[:good], bad, *blocks[good + 1 :], span=True)])
        return blocks[good - 1]

    async def test_the_unsafe_blocks_that_it_replaced_come_back(self) -> None:
        world = await unsafe_world(Fork.ECOTONE)
        unsafe = list(world.sequencer.blocks)
        async with running(world.verifier()) as verifier:
            await submit(verifier, *unsafe)
            await self.spoiled(world, good=2)
            await rest()
            assert [block.block.number for block in verifier.derived] == [1, 2]
            heads = verifier.driver.heads
            assert (heads.safe.number, heads.pending_safe.number) == (0, 0)
            assert heads.unsafe.hash == unsafe[-1].hash
            assert (await verifier.labels()) == (6, 0, 0)

    async def test_they_do_not_where_the_engine_has_forgotten_them(self) -> None:
        world = await unsafe_world(Fork.ECOTONE)
        unsafe = list(world.sequencer.blocks)

        class Forgetful(pyevm.PyEvmEngine):  # type: ignore[misc]  # a plugin's class, imported where it is installed
            async def block(self, which: object) -> Payload:
                if forgets and which == unsafe[-1].hash:
                    raise NotFound("pruned")
                return await super().block(which)  # type: ignore[no-any-return]

        forgets = False
        async with running(world.verifier(Forgetful(world.config, new_store()))) as verifier:
            await submit(verifier, *unsafe)
            forgets = True
            last_good = await self.spoiled(world, good=2)
            await rest()
            assert verifier.driver.heads.unsafe.hash == last_good.hash

    async def test_in_strict_order_the_spoiled_block_is_made_of_its_deposits_instead(self) -> None:
        world = await unsafe_world(Fork.HOLOCENE)
        unsafe = list(world.sequencer.blocks)
        async with running(world.verifier()) as verifier:
            await submit(verifier, *unsafe)
            await self.spoiled(world, good=2)
            await rest()
            assert verifier.driver.heads.safe.number == 3
            assert verifier.driver.heads.unsafe == verifier.driver.heads.safe
            assert verifier.derived[-1].batch == "deposits-only"


class TestEngineSync:
    async def test_a_gap_that_stays_is_shown_to_the_engine(self) -> None:
        """It may have ways of its own to fetch what lies between; the embedded one has none."""
        world = await unsafe_world()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            await submit(verifier, world.sequencer.blocks[-1])
            assert "execute" not in engine.calls
            await trio.sleep(30)
            assert engine.calls.count("execute") > 1
            assert verifier.driver.heads.unsafe.number == 0
            world.l1.mine([world.batch(*world.sequencer.blocks)])
            await rest()
            assert verifier.driver.heads.safe.number == 6

    async def test_a_gap_that_the_engine_closed_by_itself_is_closed(self) -> None:
        world = await unsafe_world()
        inner = new_engine(world.config)
        async with running(world.verifier(inner)) as verifier:
            *below, last = world.sequencer.blocks
            await submit(verifier, last)
            for block in below:
                await inner.execute(block)
            await trio.sleep(10)
            assert verifier.driver.heads.unsafe.hash == last.hash
            assert (await verifier.labels()) == (6, 0, 0)

    async def test_an_engine_that_syncs_first_is_left_alone_until_it_has_the_chain(self) -> None:
        world = await unsafe_world()
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        inner = new_engine(world.config)
        async with running(world.verifier(inner, sync_mode=SyncMode.EXECUTION_LAYER)) as verifier:
            assert not verifier.driver.started
            *below, last = world.sequencer.blocks
            await submit(verifier, below[3], last)
            await trio.sleep(20)
            assert not verifier.driver.started
            for block in below:
                await inner.execute(block)
            await trio.sleep(10)
            heads = verifier.driver.heads
            assert heads.unsafe.hash == heads.safe.hash == heads.finalized.hash == last.hash
            assert verifier.driver.started
            assert verifier.derived == []
            more = await world.sequencer.build_up_to_l1()
            world.l1.mine([world.batch(*more)])
            await rest()
            assert verifier.driver.heads.safe.hash == more[-1].hash

    async def test_an_engine_with_a_final_block_needs_no_sync(self) -> None:
        world = await unsafe_world()
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        world.l1.mark(L1Label.FINALIZED, world.l1.tip)
        engine = new_engine(world.config)
        await world.verifier(engine).sync()
        async with running(world.verifier(engine, sync_mode=SyncMode.EXECUTION_LAYER)) as verifier:
            assert verifier.driver.started

    async def test_an_engine_that_refuses_the_block_to_sync_to_is_shown_the_next(self) -> None:
        world = await unsafe_world()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine, sync_mode=SyncMode.EXECUTION_LAYER)) as verifier:
            engine.instead("execute", Invalid(reason="bad block"))
            engine.instead("execute", Syncing())
            await submit(verifier, world.sequencer.blocks[2])
            await submit(verifier, world.sequencer.blocks[0])
            await trio.sleep(10)
            assert verifier.driver.heads.unsafe.number == 1
        assert (3, "refused by the engine") in outcomes(verifier)
