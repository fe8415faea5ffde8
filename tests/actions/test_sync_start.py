"""Where a node goes on: from what its engine has, whatever happened to that in between."""

from __future__ import annotations

import pytest
import trio

from kroma_core.errors import CriticalError, NotFound, TemporaryError
from kroma_core.events import Searching
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import L2Label, Payload
from kroma_core.node import sync_start
from kroma_core.types import L2Number
from tests.actions.actors import ALICE, BOB, Stumbling, World, new_engine
from tests.actions.live import of


async def long_world(blocks_on_l1: int = 30) -> World:
    """A chain whose blocks are all batched, in an L1 with windows of ten blocks."""
    world = World.at(Fork.JOVIAN)
    while world.l1.tip.header.number < blocks_on_l1:
        world.l1.mine()
        made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        world.l1.mine([world.batch(*made)])
    return world


class Labelled(Stumbling):
    """An engine that shows other blocks under its labels than it has there; None: it has never been told."""

    def __init__(self, part: object, labels: dict[L2Label, Payload | None]) -> None:
        super().__init__(part)
        self.labels = labels

    async def block(self, which: object) -> Payload:
        if isinstance(which, L2Label) and which in self.labels:
            found = self.labels[which]
            if found is None:
                raise NotFound(f"there is no {which} block")
            return found
        return await self.part.block(which)  # type: ignore[no-any-return]


async def test_an_engine_that_has_never_been_told_what_is_safe_begins_at_genesis() -> None:
    """Execution clients answer so when they are fresh."""
    world = await long_world(6)
    engine = Labelled(new_engine(world.config), {L2Label.SAFE: None, L2Label.FINALIZED: None})
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.driver.heads.finalized.number == 0


async def test_a_search_goes_back_a_window_below_the_safe_head_and_no_further() -> None:
    world = await long_world(60)
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    engine = Stumbling(inner)
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    first = verifier.derived[0].block
    head = world.sequencer.blocks[-1]
    window = world.config.rollup.seq_window_size
    epochs = verifier.driver.heads.safe.l1_origin.number - first.l1_origin.number
    assert window <= epochs <= window + 2
    assert engine.calls.count("block") < head.number + 2 * (head.number - first.number)


async def test_a_search_stops_at_what_is_final() -> None:
    world = await long_world(30)
    engine = new_engine(world.config)
    await world.verifier(engine).sync()
    world.l1.mark(L1Label.FINALIZED, world.l1.tip)
    finished = world.verifier(engine)
    await finished.sync()
    final = finished.driver.heads.finalized
    assert final.number > 0
    again = world.verifier(engine)
    await again.sync()
    assert [block.block.number for block in again.derived] == list(
        range(final.number + 1, again.driver.heads.safe.number + 1)
    )


async def test_a_long_search_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_start, "TOLD_EVERY", 20)
    world = await long_world(30)
    engine = new_engine(world.config)
    await world.verifier(engine).sync()
    verifier = world.verifier(engine)
    await verifier.sync()
    told = of(verifier.events, Searching)
    head = world.sequencer.blocks[-1].number
    assert [event.at for event in told[:2]] == [head - 20, head - 40]
    assert {(event.part, event.towards) for event in told} == {("driver", 0)}


async def test_a_part_that_stumbles_does_not_make_the_search_begin_again() -> None:
    world = await long_world(30)
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    smooth = Stumbling(inner)
    await world.verifier(smooth).sync()
    engine, away = Stumbling(inner), TemporaryError("no answer")
    for call in range(0, 100, 5):
        engine.at_call(call, away, of="block")
    await world.verifier(engine).sync()
    assert engine.calls.count("block") == smooth.calls.count("block") + 20


async def test_an_engine_whose_chain_was_cut_below_its_safe_head_goes_on_where_it_was_cut() -> None:
    """A client that was killed may come back without its last blocks, and still call a later one safe."""
    world = await long_world(12)
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    cut = await inner.block(L2Number(7))
    engine = Labelled(inner, {L2Label.UNSAFE: cut})
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.derived[0].block.number == 8


async def test_an_engine_that_fetched_a_long_chain_by_itself_goes_on_from_its_end() -> None:
    world = World.at(Fork.JOVIAN, seq_window_size=2)
    while world.l1.tip.header.number < 40:
        world.l1.mine()
        made = await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*made)])
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    genesis = await inner.block(L2Number(0))
    engine = Labelled(inner, {L2Label.SAFE: genesis, L2Label.FINALIZED: genesis})
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.derived == []
    assert verifier.driver.heads.finalized.hash == world.sequencer.blocks[-1].hash


async def test_an_engine_that_lacks_blocks_in_between_is_asked_again_until_it_has_them() -> None:
    world = await long_world(12)
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    engine = Stumbling(inner)
    for call in (12, 40):
        engine.at_call(call, NotFound("not there yet"), of="block")
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert [retry.error.startswith("the engine lacks the parent of its L2 block ") for retry in verifier.retries] == [
        True
    ]


async def test_an_engine_without_the_genesis_block_holds_another_chain() -> None:
    world = await long_world(6)

    class Elsewhere(Labelled):
        async def block(self, which: object) -> Payload:
            if which == world.config.rollup.genesis.l2.hash:
                raise NotFound("no such block")
            return await super().block(which)

    engine = Elsewhere(new_engine(world.config), {L2Label.SAFE: None, L2Label.FINALIZED: None})
    with pytest.raises(CriticalError, match="the engine holds another chain: it has no block 0"):
        await world.verifier(engine).sync()


async def test_a_search_can_be_cancelled_at_any_time() -> None:
    world = await long_world(12)
    engine = new_engine(world.config)
    await world.verifier(engine).sync()
    for checkpoints in range(0, 60, 7):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.verifier(engine).sync)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
    assert (await world.verifier(engine).sync()).hash == world.sequencer.blocks[-1].hash
