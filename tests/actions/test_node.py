"""The node as a whole: services beside the driver, and what it keeps in its folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.errors import ConfigError, NotFound
from kroma_core.events import BlockDerived, Event
from kroma_core.forks import Fork
from kroma_core.l1 import L1Heads
from kroma_core.node.profile import LogLevel
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.run import Node
from kroma_core.node.safe_head_store import SAFE_HEADS
from kroma_core.node.view import NodeView
from tests.actions.actors import ALICE, BOB, Stumbling, World, calldata, new_engine
from tests.actions.live import rest


async def batched_world(epochs: int = 2) -> World:
    world = World.at(Fork.JOVIAN)
    for _ in range(epochs):
        world.l1.mine()
        blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        world.l1.mine([world.batch(*blocks)])
    return world


def node_of(world: World, **settings: Any) -> Node:
    settings = {"engine": new_engine(world.config), "emit": lambda event: None, **settings}
    return Node(
        config=world.config,
        l1=world.l1,
        data=[calldata.CallData()],
        policy=RetryPolicy(),
        resets_without_progress=None,
        **settings,
    )


class Once(Stumbling):
    """An L1 whose heads are shown once."""

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        yield self.part.heads


class TestServices:
    async def test_a_service_sees_the_node_and_is_stopped_with_it(self) -> None:
        world = await batched_world()
        seen: list[NodeView] = []
        stopped: list[str] = []
        levels: list[LogLevel] = []

        async def service(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            assert view.driver.status().heads is None
            seen.append(view)
            task_status.started(("127.0.0.1", 9545))
            try:
                await trio.sleep_forever()
            finally:
                stopped.append(view.name)

        reported: list[object] = []
        last = world.sequencer.blocks[-1].number
        heads = await node_of(
            world,
            name="verifier",
            stop_after=last,
            services=[service],
            on_service=reported.append,
            set_log_level=levels.append,
        ).run()
        assert heads is not None
        assert heads.safe.number == last
        (view,) = seen
        assert view.driver.status().heads == heads
        view.set_log_level(LogLevel.DEBUG)
        assert (reported, stopped, levels) == ([("127.0.0.1", 9545)], ["verifier"], [LogLevel.DEBUG])

    async def test_services_begin_in_their_order_before_anything_is_derived(self) -> None:
        world = await batched_world()
        story: list[str] = []

        def service(name: str) -> Any:
            async def serve(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
                await trio.sleep(5)
                story.append(name)
                task_status.started()

            return serve

        def emit(event: Event) -> None:
            if isinstance(event, BlockDerived):
                story.append("block")

        await node_of(world, emit=emit, stop_after=1, services=[service("one"), service("two")]).run()
        assert story[:3] == ["one", "two", "block"]

    @pytest.mark.parametrize("late", [False, True])
    async def test_what_a_service_raises_ends_the_node_as_it_is(self, late: bool) -> None:
        world = await batched_world()

        async def service(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            if late:
                task_status.started()
                await trio.sleep(100)
            raise ConfigError("[rpc] port: 9545 is taken")

        with pytest.raises(ConfigError, match="9545 is taken"):
            await node_of(world, services=[service]).run()

    async def test_a_service_that_ends_by_itself_ends_nothing_else(self) -> None:
        world = await batched_world()

        async def service(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            task_status.started()

        heads = await node_of(world, services=[service], stop_after=world.sequencer.blocks[-1].number).run()
        assert heads is not None


class TestSafeHeads:
    async def test_the_log_says_what_was_safe_after_each_l1_block(self, tmp_path: Path) -> None:
        """Expected: the last block that was derived from an L1 block up to the one that is asked for."""
        world = await batched_world(4)
        events: list[BlockDerived] = []
        views: list[NodeView] = []

        async def service(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            views.append(view)
            task_status.started()

        derived = trio.Event()

        def emit(event: Event) -> None:
            if isinstance(event, BlockDerived):
                events.append(event)
                if len(events) == len(world.sequencer.blocks):
                    derived.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(node_of(world, emit=emit, data_dir=tmp_path, services=[service]).run)
            await derived.wait()
            log = views[0].safe_heads
            for number in range(world.l1.tip.header.number + 3):
                known = [event for event in events if event.derived_from.number <= number]
                expected = (known[-1].derived_from, known[-1].block.id) if known else None
                genesis = (world.config.rollup.genesis.l1, world.config.rollup.genesis.l2)
                assert log.at(number) == (expected or genesis)
            await rest()
            nursery.cancel_scope.cancel()
        assert (tmp_path / SAFE_HEADS).exists()

    async def test_a_reorg_rolls_the_log_back(self) -> None:
        world = await batched_world(3)
        verifier = world.verifier()
        await verifier.sync()
        before = verifier.driver.safe_heads.at(6)
        assert before == (world.l1.tip.id, world.sequencer.blocks[-1].id)
        world.l1.reorg(1)
        world.l1.mine_empty(2)
        await verifier.sync()
        l1, safe = verifier.driver.safe_heads.at(7)
        assert l1.number == 4
        assert safe == verifier.driver.heads.safe.id
        block = world.l1.mine([world.batch(*world.sequencer.blocks)])
        await verifier.sync()
        assert verifier.driver.safe_heads.at(8) == (block.id, verifier.driver.heads.safe.id)

    async def test_a_node_that_begins_late_does_not_say_what_it_does_not_know(self, tmp_path: Path) -> None:
        """The log was deleted while the engine kept its chain."""
        world = World.at(Fork.JOVIAN)
        while world.l1.tip.header.number < 60:
            world.l1.mine()
            blocks = await world.sequencer.build_up_to_l1()
            world.l1.mine([world.batch(*blocks)])
        engine = new_engine(world.config)
        first = world.verifier(engine)
        await first.sync()
        known = first.driver.safe_heads
        later = world.verifier(engine)
        await later.sync()
        log = later.driver.safe_heads
        with pytest.raises(NotFound, match="the safe-head log has nothing that early"):
            log.at(20)
        assert [log.at(number) for number in range(58, 61)] == [known.at(number) for number in range(58, 61)]

    async def test_a_recorded_timeline_fills_it_too(self, tmp_path: Path) -> None:
        world = await batched_world()

        node = node_of(world, data_dir=tmp_path, timeline=True)
        node.l1 = Once(world.l1)
        heads = await node.run()
        assert heads is not None
        assert heads.safe.hash == world.sequencer.blocks[-1].hash
        assert (tmp_path / SAFE_HEADS).exists()
