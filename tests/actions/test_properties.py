"""What must not matter: how L1 comes in, when a node was stopped, and (before strict order) how frames are shuffled."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.derive.frames import Frame, encode_frames
from kroma_core.forks import Fork
from kroma_core.l1 import L1Block, L1Heads
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Number, L1Ref
from tests.actions.actors import ALICE, BOB, CAROL, Verifier, World

STRICT, LOOSE = (Fork.HOLOCENE, Fork.JOVIAN), (Fork.REGOLITH, Fork.CANYON, Fork.ECOTONE, Fork.GRANITE)


CUTS = st.sets(st.integers(1, 20), max_size=4)


def run(body: Callable[[], Awaitable[None]]) -> None:
    trio.run(body, clock=trio.testing.MockClock(autojump_threshold=0))


async def epochs(world: World, count: int) -> list[list[Any]]:
    """The blocks of so many L1 blocks, none of them batched yet."""
    found = []
    for _ in range(count):
        world.l1.mine([world.l1.deposit(sender=CAROL.address, to=BOB.address, mint=1)])
        found.append(await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB)))
    return found


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    fork=st.sampled_from(LOOSE),
    frame_size=st.sampled_from([60, 150, 100_000]),
    cuts=CUTS,
    spread=st.booleans(),
)
def test_before_strict_order_frames_may_come_in_any_order(
    data: st.DataObject, fork: Fork, frame_size: int, cuts: set[int], spread: bool
) -> None:
    async def body() -> None:
        world = World.at(fork, seq_window_size=30, channel_timeout=20)
        made = await epochs(world, 3)
        span = fork not in (Fork.REGOLITH, Fork.CANYON) and data.draw(st.booleans())
        channels = [world.channel(*blocks, span=span, frame_size=frame_size) for blocks in made]
        shuffled = data.draw(st.permutations([frame for channel in channels for frame in channel]))
        verifier = world.verifier()
        transactions = [world.l1.batcher_tx(encode_frames(part)) for part in parts(shuffled, cuts)]
        for block in [[one] for one in transactions] if spread else [transactions]:
            world.l1.mine(block)
        assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash

    run(body)


@settings(max_examples=25, deadline=None)
@given(
    fork=st.sampled_from(STRICT + LOOSE),
    frame_size=st.sampled_from([60, 150]),
    cuts=CUTS,
    counts=st.lists(st.integers(0, 3), max_size=8),
)
def test_frames_in_order_may_be_cut_into_transactions_and_blocks_anywhere(
    fork: Fork, frame_size: int, cuts: set[int], counts: list[int]
) -> None:
    async def body() -> None:
        world = World.at(fork, seq_window_size=60, channel_timeout=50)
        made = await epochs(world, 3)
        frames = [frame for blocks in made for frame in world.channel(*blocks, frame_size=frame_size)]
        transactions = [world.l1.batcher_tx(encode_frames(part)) for part in parts(frames, cuts)]
        for count in counts:
            world.l1.mine(transactions[:count])
            del transactions[:count]
        world.l1.mine(transactions)
        assert (await world.verifier().sync()).hash == world.sequencer.blocks[-1].hash

    run(body)


def parts(frames: list[Frame], cuts: set[int]) -> list[list[Frame]]:
    """The frames in order, cut into one or more."""
    ends = sorted({0, len(frames), *(min(cut, len(frames)) for cut in cuts)})
    return [frames[start:end] for start, end in pairwise(ends)]


class Ahead:
    """An L1 source that fetches the next blocks in the background, and answers when it likes."""

    def __init__(self, l1: ScriptedL1, nursery: trio.Nursery, pauses: list[float]) -> None:
        self._l1, self._nursery, self._pauses = l1, nursery, pauses
        self._fetched: dict[Hash32, L1Block] = {}

    async def _pause(self) -> None:
        await trio.sleep(self._pauses.pop() if self._pauses else 0)

    async def _prefetch(self, first: int) -> None:
        for number in range(first, min(first + 4, self._l1.tip.header.number + 1)):
            ref = await self._l1.ref(L1Number(number))
            await self._pause()
            self._fetched[ref.hash] = await self._l1.block(ref.hash)

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        found = await self._l1.ref(block)
        self._nursery.start_soon(self._prefetch, found.number + 1)
        await self._pause()
        return found

    async def block(self, block_hash: Hash32) -> L1Block:
        await self._pause()
        return self._fetched.get(block_hash) or await self._l1.block(block_hash)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)


@functools.cache
def busy(fork: Fork) -> tuple[World, tuple[L1Heads, ...], dict[int, tuple[Hash32, int]]]:
    """A world with a history, its heads in order, and what a node derives that sees the last head only."""

    async def make() -> tuple[World, tuple[L1Heads, ...], dict[int, tuple[Hash32, int]]]:
        world = World.at(fork, seq_window_size=8, channel_timeout=6)
        for blocks in await epochs(world, 2):
            world.l1.mine([world.batch(*blocks)])
        made = [await world.sequencer.build_up_to_l1(world.transfer(BOB, ALICE)) for _ in (world.l1.mine(),)]
        frames = world.channel(*made[0], span=fork is not Fork.REGOLITH, frame_size=70)
        for start in range(0, len(frames), 2):
            world.l1.mine([world.l1.batcher_tx(encode_frames(frames[start : start + 2]))])
        world.l1.mine_empty(12)
        late = await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*late)])
        verifier = world.verifier()
        await verifier.sync()
        return world, world.l1.timeline, derived(verifier)

    return trio.run(make)


def derived(*verifiers: Verifier) -> dict[int, tuple[Hash32, int]]:
    """Hash of each block, and the L1 block it was read from; the last time counts."""
    events = [event for verifier in verifiers for event in verifier.derived]
    return {event.block.number: (event.block.hash, event.derived_from.number) for event in events}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), fork=st.sampled_from([Fork.REGOLITH, Fork.ECOTONE, Fork.JOVIAN]))
def test_chunks_of_l1_restarts_and_prefetching_change_nothing(data: st.DataObject, fork: Fork) -> None:
    world, timeline, expected = busy(fork)
    stops = sorted(data.draw(st.sets(st.integers(1, len(timeline) - 1), max_size=8)) | {len(timeline) - 1})
    restarts = data.draw(st.sets(st.sampled_from(stops)))
    pauses = data.draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), max_size=60))

    async def body() -> None:
        verifiers = [world.verifier()]
        async with trio.open_nursery() as nursery:
            source = Ahead(world.l1, nursery, list(pauses))
            verifiers[0].driver.l1 = source
            for stop in stops:
                world.l1.move_to(timeline[stop].unsafe.hash)
                await verifiers[-1].sync()
                if stop in restarts:
                    verifiers.append(world.verifier(verifiers[-1].engine, l1=source))
            await verifiers[-1].sync()
        assert derived(*verifiers) == expected

    run(body)
