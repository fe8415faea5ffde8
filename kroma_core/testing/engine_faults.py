"""Conformance of role `engine` when things go wrong, and over whole chains: part of `EngineSuite`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest
import trio

from kroma_core.api import Applied, Building, ExecutionEngine, Syncing, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import KromaError, TemporaryError
from kroma_core.l2 import L2Label
from kroma_core.testing.cancelling import STEPS, given_up_after
from kroma_core.testing.engine_world import EngineOnRecordedChain, World
from kroma_core.testing.faults import SILENT, Fault, Plant
from kroma_core.testing.levels import Level, level

NO_FAULTS = "the maker has no `open_at_fault`: how the part meets a failing server was not shown"


class EngineFaults(EngineOnRecordedChain):
    """What the suite asks of an engine that is cut off, whose callers give up, that has much to do."""

    def open_at_fault(
        self, chain: ChainConfig, folder: Path, plant: Plant
    ) -> AbstractAsyncContextManager[ExecutionEngine] | None:
        """The engine, through whatever lets go wrong what `plant` says.

        `faults.fault_front` is that for HTTP. None for an engine that asks nobody.
        """
        return None

    def at_fault(self, body: Callable[[World, Plant], Awaitable[None]], folder: Path) -> None:
        plant = Plant()
        chain, blocks = self.recorded()
        opened = self.open_at_fault(chain, folder, plant)
        if opened is None:
            pytest.skip(NO_FAULTS)

        async def main() -> None:
            with trio.fail_after(120):
                async with opened as engine:
                    await body(World(engine=engine, chain=chain, blocks=blocks), plant)

        trio.run(main)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.replace(" ", "-"))
    def test_no_answer_is_a_temporary_error_and_passes(self, fault: Fault, tmp_path: Path) -> None:
        async def body(world: World, plant: Plant) -> None:
            await world.advance(1)
            payload = world.blocks[1].payload
            for ask in (
                lambda: world.engine.block(L2Label.UNSAFE),
                lambda: world.engine.build(payload.parent_hash, world.blocks[1].attributes, world.heads(1)),
                lambda: world.engine.execute(payload),
                lambda: world.engine.set_heads(world.heads(1)),
            ):
                plant.fault = fault
                with pytest.raises(TemporaryError):
                    await ask()
                plant.clear()
            assert await world.built(2) == payload

        self.at_fault(body, tmp_path)

    @level(Level.FAULTS)
    def test_a_slow_answer_can_be_given_up_and_asked_for_again(self, tmp_path: Path) -> None:
        async def body(world: World, plant: Plant) -> None:
            plant.fault = Fault.SLOW
            with trio.move_on_after(0.2) as waiting:
                await world.engine.execute(world.blocks[0].payload)
            assert waiting.cancelled_caught, "there was an answer although the server gave none"
            plant.clear()
            await world.advance(2)

        self.at_fault(body, tmp_path)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("fault", [Fault.NOT_FOUND, Fault.WRONG], ids=["not-found", "wrong"])
    def test_a_spoilt_answer_does_not_pass_for_another_block(self, fault: Fault, tmp_path: Path) -> None:
        async def body(world: World, plant: Plant) -> None:
            await world.advance(2)
            for place in (0.3, 0.5, 0.7):
                plant.fault, plant.place = fault, place
                with suppress(KromaError):
                    assert await world.engine.block(world.blocks[0].hash) == world.blocks[0].payload
                plant.clear()
            assert await world.engine.block(world.blocks[0].hash) == world.blocks[0].payload

        self.at_fault(body, tmp_path)

    @level(Level.FAULTS)
    def test_building_that_is_given_up_anywhere_has_its_whole_effect_or_none(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            block, heads = world.blocks[0], world.heads(0)
            for steps in STEPS:
                await given_up_after(steps, lambda: world.engine.build(world.genesis, block.attributes, heads))
                assert (await world.engine.heads()).unsafe == world.genesis
                building = await world.engine.build(world.genesis, block.attributes, heads)
                assert isinstance(building, Building), building
                await given_up_after(steps, lambda building=building: world.engine.seal(building))  # type: ignore[misc]  # a bound default has no type
            assert await world.built(1) == block.payload

        self.run(body, tmp_path)

    @level(Level.FAULTS)
    def test_execution_that_is_given_up_anywhere_has_its_whole_effect_or_none(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            for steps in STEPS:
                await given_up_after(steps, lambda: world.engine.execute(world.blocks[0].payload))
                assert await world.engine.heads() == world.heads(0)
                later = await world.engine.execute(world.blocks[1].payload)
                assert isinstance(later, Valid | Syncing)
            assert await world.engine.execute(world.blocks[0].payload) == Valid()
            assert await world.engine.execute(world.blocks[1].payload) == Valid()
            for steps in STEPS:
                await given_up_after(steps, lambda: world.engine.set_heads(world.heads(2, 1)))
                found, before, after = await world.engine.heads(), world.heads(0), world.heads(2, 1)
                # head by head: a remote engine may still be at it, and be asked for one head after the other
                assert found.unsafe in (before.unsafe, after.unsafe)
                assert found.safe in (before.safe, after.safe)
                assert found.finalized == before.finalized
            assert await world.engine.set_heads(world.heads(2, 1)) == Applied()
            assert await world.engine.heads() == world.heads(2, 1)

        self.run(body, tmp_path)

    @level(Level.LOAD)
    def test_a_whole_recorded_chain_becomes_the_same_blocks(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            last = len(world.blocks)
            for number in range(1, last + 1):
                assert await world.built(number) == world.blocks[number - 1].payload, f"block {number}"
                assert await world.engine.execute(world.blocks[number - 1].payload) == Valid(), f"block {number}"
                assert await world.engine.set_heads(world.heads(number)) == Applied(), f"block {number}"
            assert await world.engine.heads() == world.heads(last)

        self.run(body, tmp_path, blocks=None)

    def test_the_same_attributes_make_the_same_block_each_time(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert await world.built(1) == await world.built(1) == world.blocks[0].payload

        self.run(body, tmp_path)

    def test_heads_that_are_set_again_are_applied_again(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            await world.advance(2)
            for _ in range(2):
                assert await world.engine.set_heads(world.heads(2, 1)) == Applied()
                assert await world.engine.heads() == world.heads(2, 1)

        self.run(body, tmp_path)
