"""A node may be stopped anywhere: the next one goes on with the same engine and arrives at the same head."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from kroma_core.derive.frames import encode_frames
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import L2Label
from kroma_core.node.driver import Driver
from kroma_core.types import L2Ref
from tests.actions.actors import ALICE, BOB, CAROL, Verifier, World, new_engine, new_store

ERAS = pytest.mark.parametrize("fork", [Fork.REGOLITH, Fork.ECOTONE, Fork.JOVIAN])


async def busy_world(fork: Fork) -> World:
    """Three epochs with transfers and deposits, batched in several ways; the last channel spans two L1 blocks."""
    world = World.at(fork)
    l1, spans = world.l1, fork is not Fork.REGOLITH
    l1.mine([l1.deposit(sender=CAROL.address, to=CAROL.address, mint=9)])
    first = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    l1.mine([world.batch(*first, span=spans)])
    second = await world.sequencer.build_up_to_l1(world.transfer(BOB, ALICE))
    bad = world.singular(second[-1])
    third = world.channel_of(
        [*map(world.singular, second[:-1]), world.with_transactions(bad, world.transfer(CAROL, BOB, 10**30))]
    )
    l1.mine([l1.batcher_tx(encode_frames(third))])
    if fork is not Fork.JOVIAN:
        l1.mine([world.batch(second[-1])])
    frames = world.channel(*await world.sequencer.build_up_to_l1(), frame_size=120)
    l1.mine([l1.batcher_tx(encode_frames(frames[:1]))])
    l1.mark(L1Label.FINALIZED, l1.tip)
    l1.mine([l1.batcher_tx(encode_frames([frame])) for frame in frames[1:]])
    return world


@ERAS
async def test_a_restart_after_every_l1_block_changes_nothing(fork: Fork) -> None:
    world = await busy_world(fork)
    expected = await world.verifier().sync()
    chain = [world.l1.tip]
    while chain[-1] != world.l1.genesis:
        chain.append(await world.l1.block(chain[-1].header.parent_hash))
    kept = new_store()
    for block in reversed(chain):
        world.l1.move_to(block.hash)
        verifier = world.verifier(new_engine(world.config, kept))
        reached = await verifier.sync()
        assert verifier.resets == []
    assert reached == expected
    assert (await new_engine(world.config, kept).block(L2Label.SAFE)).hash == expected.hash


@ERAS
async def test_a_node_at_rest_has_nothing_to_do_again_but_to_confirm(fork: Fork) -> None:
    world = await busy_world(fork)
    engine = new_engine(world.config)
    reached = await world.verifier(engine).sync()
    again = world.verifier(engine)
    assert await again.sync() == reached
    assert all(derived.consolidated for derived in again.derived)


class Steps(trio.abc.Instrument):
    """Counts the steps of a task, and cancels a scope at one of them."""

    def __init__(self, scope: trio.CancelScope, stop_at: int | None = None) -> None:
        self.task = trio.lowlevel.current_task()
        self.scope, self.stop_at = scope, stop_at
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.count += 1
            if self.count == self.stop_at:
                self.scope.cancel()


async def steps_of(call: Callable[[], Awaitable[object]], stop_at: int | None = None) -> int:
    """Run until the task has been stepped so often, then cancel it; how often it was."""
    with trio.CancelScope() as scope:
        steps = Steps(scope, stop_at)
        trio.lowlevel.add_instrument(steps)
        try:
            await call()
        finally:
            trio.lowlevel.remove_instrument(steps)
    return steps.count


@ERAS
@pytest.mark.parametrize("again", ["a new driver", "the same driver"])
async def test_a_cancellation_at_any_step_leaves_an_engine_to_go_on_with(fork: Fork, again: str) -> None:
    world = await busy_world(fork)
    verifier = world.verifier()
    steps = await steps_of(verifier.sync)
    expected, labels = verifier.driver.heads.safe, await verifier.labels()
    assert steps > 100
    for stop_at in range(1, steps, 4):
        kept = new_store()
        stopped = world.verifier(new_engine(world.config, kept))
        await steps_of(stopped.sync, stop_at)
        following = stopped if again == "the same driver" else world.verifier(new_engine(world.config, kept))
        assert await following.sync() == expected, stop_at
        if again == "the same driver":  # what L1 finalises is known to the one that derived it
            assert await following.labels() == labels


@ERAS
async def test_a_cancellation_in_the_midst_of_a_reset_leaves_a_driver_that_resets_again(fork: Fork) -> None:
    world = await busy_world(fork)
    world.l1.mine_empty(2)

    async def reorganised() -> Verifier:
        verifier = world.verifier()
        world.l1.move_to(tip.hash)
        await verifier.sync()
        world.l1.move_to(branch.hash)
        return verifier

    tip = world.l1.tip
    world.l1.reorg(2)
    branch = world.l1.mine_empty(4)
    verifier = await reorganised()
    steps = await steps_of(verifier.sync)
    expected = verifier.driver.heads
    for stop_at in range(1, steps, 4):
        verifier = await reorganised()
        await steps_of(verifier.sync, stop_at)
        await verifier.sync()
        assert verifier.driver.heads == expected, stop_at


async def test_a_driver_that_follows_sees_every_change_of_l1() -> None:
    world = World.at(Fork.JOVIAN)
    verifier = world.verifier()
    reached: list[L2Ref] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(functools.partial(Driver.follow, verifier.driver))
        for _ in range(3):
            world.l1.mine()
            blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
            world.l1.mine([world.batch(*blocks)])
            await world.sequencer.build_up_to_l1()
            await trio.testing.wait_all_tasks_blocked()
            assert verifier.driver.heads.safe.hash == blocks[-1].hash
            reached.append(verifier.driver.heads.safe)
            world.l1.mine([world.batch(*world.sequencer.blocks[blocks[-1].number :])])
        nursery.cancel_scope.cancel()
    assert len(set(reached)) == 3
