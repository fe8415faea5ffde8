"""A live node: heads come while it is busy, and a part that hangs holds up nobody else."""

from __future__ import annotations

import attrs
import pytest
import trio

from kroma_core.api import Inconsistent
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.events import HeadsMoved, L1HeadsChanged, L1Reorganised
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import Payload
from kroma_core.status import SyncStatus
from tests.actions.actors import ALICE, BOB, Stumbling, World, new_engine
from tests.actions.live import Holding, of, rest, running, submit


async def epoch(world: World) -> list[Payload]:
    """An L1 block, its L2 blocks, and an L1 block with their batch."""
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    world.l1.mine([world.batch(*blocks)])
    return blocks


class TestFollowing:
    async def test_it_derives_what_comes_until_it_is_stopped(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        async with running(world.verifier()) as verifier:
            for _ in range(3):
                blocks = await epoch(world)
                await rest()
                assert verifier.driver.heads.safe.hash == blocks[-1].hash
        assert verifier.resets == []

    async def test_the_newest_heads_count_where_many_came_while_it_was_busy(self) -> None:
        world = World.at(Fork.JOVIAN)
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("block")
            await epoch(world)
            await rest()
            for _ in range(3):
                blocks = await epoch(world)
            l1.release()
            await rest()
            assert verifier.driver.heads.safe.hash == blocks[-1].hash
            shown = [event.heads.unsafe.number for event in of(verifier.events, L1HeadsChanged)]
            assert shown[-1] == world.l1.tip.header.number

    async def test_its_status_tells_of_heads_that_derivation_has_not_come_to(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            reached = world.l1.tip.ref
            l1.hold("block", "ref", "receipts")
            await epoch(world)
            world.l1.mark(L1Label.SAFE, world.l1.genesis)
            world.l1.mark(L1Label.FINALIZED, world.l1.genesis)
            await rest()
            heads = verifier.driver.heads
            assert verifier.driver.status() == SyncStatus(
                current_l1=reached,
                current_l1_finalized=world.l1.genesis.ref,
                head_l1=world.l1.tip.ref,
                safe_l1=world.l1.genesis.ref,
                finalized_l1=world.l1.genesis.ref,
                heads=heads,
            )
            assert heads.safe.number == 6

    async def test_before_anything_answers_its_status_is_empty(self) -> None:
        world = World.at(Fork.JOVIAN)
        engine = Holding(new_engine(world.config))
        engine.hold("block")
        async with running(world.verifier(engine)) as verifier:
            assert verifier.driver.status() == SyncStatus()

    async def test_a_head_that_goes_back_takes_nothing_back(self) -> None:
        world = World.at(Fork.JOVIAN)
        blocks = await epoch(world)
        async with running(world.verifier()) as verifier:
            world.l1.move_to(world.l1.genesis.hash)
            await rest()
            assert verifier.driver.status().head_l1 == world.l1.genesis.ref
            assert verifier.driver.heads.safe.hash == blocks[-1].hash
            assert verifier.resets == []

    async def test_a_subscription_that_breaks_is_taken_up_again(self) -> None:
        world = World.at(Fork.JOVIAN)

        class Breaking(type(world.l1)):  # type: ignore[misc]  # the scripted L1, with one method of its own
            times = 2

            async def subscribe(self) -> object:
                async for heads in super().subscribe():
                    yield heads
                    if self.times:
                        self.times -= 1
                        raise TemporaryError("the connection broke")

        l1 = Breaking()
        verifier = attrs.evolve(world.verifier(l1=l1), l1=l1)
        async with running(verifier):
            l1.mine_empty(3)
            await trio.sleep(10)
            assert verifier.driver.status().current_l1 == l1.tip.ref
        assert [retry.what for retry in verifier.retries] == ["follow L1"] * 2

    async def test_blocks_without_confirmations_are_left_alone(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        async with running(world.verifier(l1_confirmations=2)) as verifier:
            assert verifier.driver.heads.safe.number == 0
            assert verifier.driver.status().head_l1 == world.l1.tip.ref
            world.l1.mine()
            await rest()
            assert verifier.driver.heads.safe.number == 0
            world.l1.mine()
            await rest()
            assert verifier.driver.heads.safe.number == 6

    async def test_an_error_that_it_cannot_recover_from_is_raised_as_it_is(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        engine = Stumbling(new_engine(world.config))
        engine.instead("seal", CriticalError("the disk is full"))
        with pytest.raises(CriticalError, match="the disk is full"):
            await world.verifier(engine).driver.run()


class TestHanging:
    async def test_unsafe_blocks_go_on_while_l1_hangs(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("block", "ref", "receipts", "head")
            world.l1.mine()
            await rest()
            assert l1.hanging
            unsafe = await world.sequencer.build_up_to_l1()
            await submit(verifier, *unsafe)
            assert verifier.driver.heads.unsafe.hash == unsafe[-1].hash
            assert (await verifier.labels())[0] == unsafe[-1].number

    async def test_unsafe_blocks_go_on_where_l1_never_answered(self) -> None:
        world = World.at(Fork.JOVIAN)
        world.l1.mine()
        unsafe = await world.sequencer.build_up_to_l1()
        l1 = Holding(world.l1)
        l1.hold("block", "ref", "receipts", "head")
        async with running(world.verifier(l1=l1)) as verifier:
            await submit(verifier, *unsafe)
            assert verifier.driver.heads.unsafe.hash == unsafe[-1].hash
            world.l1.mine([world.batch(*unsafe)])
            l1.release()
            await rest()
            assert verifier.driver.heads.safe.hash == unsafe[-1].hash
            assert all(block.consolidated for block in verifier.derived)

    async def test_l1_heads_are_seen_while_the_engine_hangs(self) -> None:
        world = World.at(Fork.JOVIAN)
        engine = Holding(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            engine.hold("build")
            await epoch(world)
            await rest()
            assert engine.hanging == ["build"]
            world.l1.mine_empty(2)
            await rest()
            assert verifier.driver.status().head_l1 == world.l1.tip.ref
            engine.release()
            await rest()
            assert verifier.driver.heads.safe.number == 6

    async def test_finality_takes_effect_while_derivation_waits(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        final = world.l1.tip
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("block")
            world.l1.mine()
            world.l1.mark(L1Label.FINALIZED, final)
            await rest()
            assert l1.hanging == ["block"]
            assert verifier.driver.heads.finalized.number == 6
            assert (await verifier.labels())[2] == 6
            assert of(verifier.events, HeadsMoved)[-1].finalized.number == 6

    async def test_a_reset_that_is_asked_for_does_not_wait_for_l1(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("block")
            world.l1.mine()
            await rest()
            verifier.driver.request_reset("the operator asked for it")
            await rest()
            assert verifier.resets == ["the operator asked for it"]
            l1.release()
            await epoch(world)
            await rest()
            assert verifier.driver.status().current_l1 == world.l1.tip.ref

    async def test_a_reset_that_is_asked_for_at_rest_begins_anew(self) -> None:
        world = World.at(Fork.JOVIAN)
        blocks = await epoch(world)
        async with running(world.verifier()) as verifier:
            for _ in range(3):
                verifier.driver.request_reset("the operator asked for it")
                await rest()
            assert verifier.resets == ["the operator asked for it"] * 3
            assert verifier.retries == []
            assert verifier.driver.heads.safe.hash == blocks[-1].hash

    async def test_a_reset_that_is_asked_for_ends_the_pause_after_another(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        engine = Stumbling(new_engine(world.config))
        engine.instead("set_heads", Inconsistent(reason="no"), times=2)
        async with running(world.verifier(engine)) as verifier:
            began = trio.current_time()
            assert verifier.retries[-1].what == "derive"
            verifier.driver.request_reset("the operator asked for it")
            await rest()
            assert trio.current_time() == began
            assert verifier.driver.heads.safe.number == 6


class TestReorgs:
    @pytest.mark.parametrize("depth", [1, 5, 64])
    async def test_a_reorg_while_deriving_leads_to_where_a_fresh_node_arrives(self, depth: int) -> None:
        world = World.at(Fork.JOVIAN, seq_window_size=100, channel_timeout=100)
        world.l1.mine_empty(3)
        await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        kept = world.sequencer.blocks[-1]
        world.l1.mine_empty(depth // 2)
        await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        world.l1.mine_empty(depth - 1 - depth // 2)
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("receipts", "block")
            world.l1.mine()  # being read when the branch is abandoned
            await rest()
            assert l1.hanging
            world.l1.reorg(depth + 1)
            world.l1.mine_empty(depth + 3)
            await world.sequencer.follow_l1()
            await world.sequencer.build_up_to_l1()
            world.l1.mine([world.batch(*world.sequencer.blocks)])
            l1.release()
            await rest()
            assert verifier.driver.heads.safe.hash == world.sequencer.blocks[-1].hash
            assert (await world.verifier().sync()).hash == world.sequencer.blocks[-1].hash
        assert verifier.driver.heads.safe.number > kept.number
        (event,) = of(verifier.events, L1Reorganised)
        assert event.depth == depth + 1
        assert len(verifier.resets) == 1

    async def test_a_branch_whose_block_links_to_nothing_known_is_a_reorg(self) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        l1 = Stumbling(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            stranger = attrs.evolve(world.l1.tip.ref, number=world.l1.tip.header.number + 1, parent_hash=b"\7" * 32)
            l1.instead("ref", stranger)
            world.l1.mine()
            await rest()
            assert len(verifier.resets) == 1
            assert "has parent 0x" + "07" * 32 in verifier.resets[0]
            assert verifier.driver.status().current_l1 == world.l1.tip.ref
            assert verifier.driver.heads.safe.number == 6
