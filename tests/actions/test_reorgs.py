"""L1 reorgs: the safe head follows the branch that L1 settles on, and is where a fresh node would arrive."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.derive.frames import encode_frames
from kroma_core.errors import CriticalError
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import ForkchoiceState, L2Label, Payload
from kroma_core.types import L2Ref
from tests.actions.actors import ALICE, BOB, CAROL, Verifier, World

ERAS = pytest.mark.parametrize("fork", [Fork.REGOLITH, Fork.ECOTONE, Fork.HOLOCENE, Fork.JOVIAN])


async def begun(fork: Fork) -> tuple[World, Verifier, list[Payload]]:
    """A chain of two batched epochs, at rest, and a verifier that has followed it."""
    world = World.at(fork)
    verifier = world.verifier()
    blocks: list[Payload] = []
    for _ in range(2):
        world.l1.mine()
        made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        blocks += made
        world.l1.mine([world.batch(*made, span=fork is not Fork.REGOLITH)])
        blocks += await world.sequencer.build_up_to_l1()
        await verifier.sync()
    world.l1.mine([world.batch(*blocks)])
    assert (await verifier.sync()).hash == blocks[-1].hash
    return world, verifier, blocks


async def fresh_head(world: World) -> L2Ref:
    """Where a node arrives that sees only the present L1."""
    return await world.verifier().sync()


@ERAS
async def test_a_reorg_of_an_empty_block_changes_nothing_on_l2(fork: Fork) -> None:
    world, verifier, blocks = await begun(fork)
    world.l1.mine()
    await verifier.sync()
    world.l1.reorg(1)
    world.l1.mine_empty(2)
    assert (await verifier.sync()).hash == blocks[-1].hash
    assert len(verifier.resets) == 1
    assert f"L1 reorg: block {world.l1.tip.header.number} has parent" in verifier.resets[0]


@ERAS
async def test_a_reorg_is_noticed_when_the_new_branch_is_longer(fork: Fork) -> None:
    world, verifier, blocks = await begun(fork)
    world.l1.reorg(1)
    world.l1.mine()
    assert (await verifier.sync()).hash == blocks[-1].hash
    assert verifier.resets == []
    world.l1.mine()
    assert await verifier.sync() == await fresh_head(world) != blocks[-1]
    assert len(verifier.resets) == 1


@ERAS
async def test_a_reorg_that_drops_a_batch_takes_its_blocks_back_until_it_comes_again(fork: Fork) -> None:
    world, verifier, blocks = await begun(fork)
    unsafe = await world.sequencer.build_up_to_l1(world.transfer(BOB, ALICE))
    batch = world.batch(*unsafe)
    world.l1.mine()
    world.l1.mine([batch])
    assert (await verifier.sync()).hash == unsafe[-1].hash
    world.l1.reorg(1)
    world.l1.mine_empty(2)
    assert (await verifier.sync()).hash == blocks[-1].hash
    world.l1.mine([batch])
    assert (await verifier.sync()).hash == unsafe[-1].hash == (await fresh_head(world)).hash


@ERAS
async def test_a_reorg_that_drops_a_deposit_drops_it_on_l2(fork: Fork) -> None:
    world, verifier, _ = await begun(fork)
    world.l1.mine([world.l1.deposit(sender=CAROL.address, to=CAROL.address, mint=77)])
    with_deposit = await world.sequencer.build_up_to_l1()
    assert len(with_deposit[-1].transactions) == 2
    world.l1.mine([world.batch(*with_deposit)])
    assert (await verifier.sync()).hash == with_deposit[-1].hash
    world.l1.reorg(2)
    world.l1.mine_empty(2)
    await world.sequencer.follow_l1()
    without = await world.sequencer.build_up_to_l1()
    world.l1.mine([world.batch(*world.sequencer.blocks)])
    assert (await verifier.sync()).hash == without[-1].hash == (await fresh_head(world)).hash
    kept = [block for block in world.sequencer.blocks if block in with_deposit]
    assert all(len(block.transactions) == 1 for block in [*kept, *without])


@ERAS
async def test_a_deep_reorg_takes_everything_back(fork: Fork) -> None:
    world, verifier, _ = await begun(fork)
    world.l1.reorg(world.l1.tip.header.number)
    assert world.l1.tip == world.l1.genesis
    world.l1.mine_empty(6)
    assert (await verifier.sync()).number == 0
    await world.sequencer.follow_l1()
    await world.sequencer.build_up_to_l1()
    world.l1.mine([world.batch(*world.sequencer.blocks)])
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash


@ERAS
async def test_a_flip_back_to_an_abandoned_branch_gives_its_blocks_again(fork: Fork) -> None:
    world, verifier, blocks = await begun(fork)
    first = world.l1.mine()
    world.l1.reorg(2)
    second = world.l1.mine_empty(3)
    other = await verifier.sync()
    assert other != blocks[-1]
    world.l1.move_to(first.hash)
    world.l1.mine_empty(2)
    assert (await verifier.sync()).hash == blocks[-1].hash
    world.l1.move_to(second.hash)
    world.l1.mine_empty(3)
    assert await verifier.sync() == await fresh_head(world)
    assert len(verifier.resets) == 3


async def test_a_reorg_deeper_than_five_sequencing_windows_stops_the_node() -> None:
    world = World.at(Fork.ECOTONE, seq_window_size=2, channel_timeout=2)
    world.l1.mine_empty(20)
    verifier = world.verifier()
    assert (await verifier.sync()).l1_origin.number > 14
    world.l1.reorg(19)
    world.l1.mine_empty(25)
    with pytest.raises(CriticalError, match=r"L1 reorg reaches back past L2 block \d+ .* 5 sequencing windows"):
        await verifier.sync()


async def test_a_reorg_below_a_finalised_block_is_told_and_not_followed() -> None:
    world, verifier, blocks = await begun(Fork.ECOTONE)
    world.l1.mark(L1Label.FINALIZED, world.l1.tip)
    await verifier.sync()
    assert verifier.driver.heads.finalized.hash == blocks[-1].hash
    verifier.driver.resets_without_progress = 3
    world.l1.reorg(3)
    world.l1.mine_empty(5)
    with pytest.raises(CriticalError, match="L1 reorg below what is final: L2 block"):
        await verifier.sync()
    assert await verifier.labels() == (blocks[-1].number,) * 3
    assert [retry.delay for retry in verifier.retries] == [1.0, 2.0]


@ERAS
async def test_the_unsafe_head_goes_back_to_the_last_block_whose_origin_still_holds(fork: Fork) -> None:
    world, _, blocks = await begun(fork)
    world.l1.mine_empty(3)
    unsafe = await world.sequencer.build_up_to_l1()
    engine = world.sequencer.engine
    safe = blocks[-1].hash
    await engine.set_heads(ForkchoiceState(unsafe=unsafe[-1].hash, safe=safe, finalized=safe))
    world.l1.reorg(2)
    world.l1.mine_empty(3)
    verifier = world.verifier(engine)
    await verifier.sync()
    await world.sequencer.follow_l1()
    kept = world.sequencer.blocks[-1]
    assert blocks[-1].number < kept.number < unsafe[-1].number
    assert verifier.driver.heads.unsafe.hash == kept.hash


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["single", "span", "cut"]), st.sampled_from([0, 0, 3, 9])),
        st.tuples(st.just("deposit"), st.just(0)),
        st.tuples(st.just("reorg"), st.integers(1, 8)),
        st.tuples(st.just("flip"), st.integers(0, 40)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    min_size=4,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, fork=st.sampled_from([Fork.REGOLITH, Fork.ECOTONE, Fork.JOVIAN]))
def test_after_any_history_the_safe_head_is_that_of_a_fresh_node(steps: list[tuple[str, int]], fork: Fork) -> None:
    trio.run(functools.partial(_after_any_history, steps, fork), clock=trio.testing.MockClock(autojump_threshold=0))


async def _after_any_history(steps: list[tuple[str, int]], fork: Fork) -> None:
    world = World.at(fork, seq_window_size=6, channel_timeout=4)
    l1, sequencer = world.l1, world.sequencer
    verifier = world.verifier()
    for what, count in steps:
        match what:
            case "mine":
                l1.mine_empty(count)
            case "single" | "span":
                await sequencer.build_up_to_l1()
                if blocks := sequencer.blocks[-count:]:
                    l1.mine([world.batch(*blocks, span=what == "span" and fork is not Fork.REGOLITH)])
            case "cut":
                await sequencer.build_up_to_l1()
                if blocks := sequencer.blocks[-count:]:
                    frames = world.channel(*blocks)
                    for frame in world.channel(*blocks, frame_size=len(frames[0].data) // 3 + 1):
                        l1.mine([l1.batcher_tx(encode_frames([frame]))])
            case "deposit":
                l1.mine([l1.deposit(sender=CAROL.address, to=BOB.address, mint=1)])
            case "reorg" if l1.tip.header.number:
                l1.reorg(min(count, l1.tip.header.number))
                l1.mine()
                await sequencer.follow_l1()
            case "flip":
                l1.move_to(l1.block_hashes[count % len(l1.block_hashes)])
                await sequencer.follow_l1()
            case "sync":
                await verifier.sync()
                assert verifier.driver.heads.safe.hash == (await verifier.engine.block(L2Label.SAFE)).hash
            case "restart":
                verifier = world.verifier(verifier.engine)
    highest = max([(await l1.ref(known)).number for known in l1.block_hashes])
    l1.mine_empty(highest - l1.tip.header.number + 1)
    assert await verifier.sync() == await fresh_head(world)
