"""Each fault, on the embedded engine and the first blocks of a recorded chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from maker import Maker, faulty

from kroma_core.api import Building, Gone, Invalid, Sealed, Syncing, Valid
from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Warned
from kroma_core.testing.engine import EngineSuite
from kroma_core.testing.engine_world import World


class Suite(Maker, EngineSuite):
    """For its recorded chain."""

    __test__ = False


def run(folder: Path, script: str, body: Callable[[World], Awaitable[None]]) -> list[str]:
    """Run `body` on a faulty engine at genesis; what it told of faults."""
    chain, blocks = Suite().recorded()
    told: list[str] = []

    def emit(event: Event) -> None:
        assert isinstance(event, Warned)
        told.append(event.warning)

    async def main() -> None:
        with trio.fail_after(60):
            async with faulty(chain, folder, script, emit) as engine:
                await body(World(engine=engine, chain=chain, blocks=blocks))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.02))
    return told


async def begun(world: World, number: int = 1) -> Any:
    block = world.blocks[number - 1]
    return await world.engine.build(block.payload.parent_hash, block.attributes, world.heads(number - 1))


def test_an_error_does_not_reach_the_engine_and_passes(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with pytest.raises(TemporaryError, match="no answer to execute: cable"):
            await world.engine.execute(world.blocks[0].payload)
        assert await world.engine.execute(world.blocks[1].payload) == Syncing()  # its parent is not there
        assert await world.engine.execute(world.blocks[0].payload) == Valid()

    script = '[[fault]]\ndo = "error"\non = ["execute"]\nmost = 1\nreason = "cable"\n'
    assert run(tmp_path, script, body) == [
        "faults are let happen: 1 rules, seed 0",
        "fault 1 (error) strikes execute, L2 block 1",
    ]


def test_a_lost_answer_is_to_something_that_was_done(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with pytest.raises(TemporaryError, match="the answer to execute was lost"):
            await world.engine.execute(world.blocks[0].payload)
        assert await world.engine.execute(world.blocks[1].payload) == Valid()

    run(tmp_path, '[[fault]]\ndo = "lost"\non = ["execute"]\nmost = 1\n', body)


def test_a_restart_forgets_blocks_under_construction(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        building = await begun(world)
        assert isinstance(building, Building)
        assert await world.engine.seal(building) == Gone()
        assert await world.built(1) == world.blocks[0].payload

    run(tmp_path, '[[fault]]\ndo = "restart"\non = ["seal"]\nmost = 1\n', body)


def test_a_delay_takes_its_time_and_can_be_given_up(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with trio.move_on_after(29) as waiting:
            await world.engine.execute(world.blocks[0].payload)
        assert waiting.cancelled_caught
        begin = trio.current_time()
        assert await world.engine.execute(world.blocks[1].payload) == Syncing()
        assert 30 <= trio.current_time() - begin < 31

    run(tmp_path, '[[fault]]\ndo = "delay"\non = ["execute"]\nseconds = 30\n', body)


def test_syncing_and_invalid_are_said_without_asking(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await begun(world) == Syncing()
        assert await begun(world) == Invalid(reason="says the script")
        assert isinstance(await begun(world), Building)

    script = """
    [[fault]]
    do = "syncing"
    on = ["build"]
    most = 1
    [[fault]]
    do = "invalid"
    on = ["build"]
    after = 0
    most = 1
    reason = "says the script"
    """
    run(tmp_path, script, body)


def test_rules_can_be_bounded_to_blocks(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        refused = []
        for block in world.blocks:
            refused += [block.payload.number] * isinstance(await world.engine.execute(block.payload), Invalid)
            assert await world.engine.execute(block.payload) == Valid(), "a rule has struck twice"
        assert refused == [2, 4]

    script = '[[fault]]\ndo = "invalid"\non = ["execute"]\nmost = 1\n'
    run(tmp_path, f"{script}first_block = 2\n{script}first_block = 4\nlast_block = 4\n", body)


def test_a_block_under_construction_has_the_number_above_its_parents(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.engine.execute(await world.built(1)) == Valid()
        building = await begun(world, 2)
        assert await world.engine.seal(building) == Invalid(reason="a fault by script")
        assert isinstance(await world.engine.seal(await begun(world, 2)), Sealed)

    told = run(tmp_path, '[[fault]]\ndo = "invalid"\non = ["seal"]\nfirst_block = 2\nmost = 1\n', body)
    assert told[1:] == ["fault 1 (invalid) strikes seal, L2 block 2"]


def test_a_rule_that_has_struck_rests(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        answers = [await world.engine.execute(world.blocks[0].payload) for _ in range(6)]
        assert [isinstance(answer, Invalid) for answer in answers] == [True, False, False, True, False, False]

    run(tmp_path, '[[fault]]\ndo = "invalid"\non = ["execute"]\nrest = 2\n', body)


def test_methods_of_optional_protocols_pass(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        queries: Any = world.engine
        assert (await queries.header(world.genesis)).hash == world.genesis
        with pytest.raises(AttributeError):
            _ = queries.nothing_of_the_kind

    run(tmp_path, '[[fault]]\ndo = "error"\n', body)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_makes_the_same_faults_and_another_one_others(seed: int, tmp_path: Path) -> None:
    def told(of: int, name: str) -> list[str]:
        (tmp_path / name).mkdir()
        outcomes: list[str] = []

        async def asked(world: World) -> None:
            for _ in range(40):
                try:
                    await world.engine.heads()
                    outcomes.append("answer")
                except TemporaryError:
                    outcomes.append("error")

        run(tmp_path / name, f'seed = {of}\n[[fault]]\ndo = "error"\nprobability = 0.3\n', asked)
        return outcomes

    first = told(seed, "a")
    assert first == told(seed, "b")
    assert first != told(seed + 1, "c")
    assert 4 <= first.count("error") <= 22
