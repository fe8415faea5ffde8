"""The node's driver on an L1 that JSON-RPC servers show: reorgs while it derives, servers that lie and lag."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import PluginContext
from kroma_core.events import Event, L1Traversed, PipelineReset, RequestAnswered, SourceDistrusted
from kroma_core.forks import Fork
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.node.driver import Driver
from kroma_core.node.retry import RetryPolicy
from kroma_core.testing.rpc_node import Fault, Hang, RpcNode, Status
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.actions.actors import ALICE, BOB, World, calldata, new_engine

offers = pytest.importorskip("kroma_l1_rpc.offers", reason="the L1 source under test is the plugin l1_rpc")

QUICK = {"timeout": 0.3, "poll_interval": 0.02, "labels_interval": 0.02, "patience": 0.1}


@attrs.define
class Watched:
    """A driver at work and what it has told."""

    driver: Driver = attrs.field(init=False)
    events: list[Event] = attrs.field(factory=list)
    told: trio.Event = attrs.field(factory=trio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.told.set()

    async def until(self, holds: Callable[[Driver], bool]) -> None:
        while not holds(self.driver):
            self.told = trio.Event()
            await self.told.wait()

    @property
    def failed(self) -> int:
        """Requests without a proper answer so far."""
        return sum(event.outcome not in ("ok", "error") for event in self.saw(RequestAnswered))

    def saw(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def watching(world: World, folder: Path, *nodes: RpcNode) -> AsyncIterator[Watched]:
    """A driver that follows these servers, with an engine of its own."""
    watched = Watched()
    async with BackgroundTasks() as nursery:
        urls = [await nursery.start(node.serve) for node in nodes]
        context = PluginContext(chain=world.config, data_dir=folder, clock=lambda: 0.0, emit=watched.emit)
        async with offers.open_rpc(offers.RpcSettings(urls=tuple(urls), **QUICK), context) as source:
            watched.driver = driver = Driver(
                config=world.config,
                l1=source,
                data=[calldata.CallData()],
                engine=new_engine(world.config),
                emit=watched.emit,
                policy=RetryPolicy(first=0.02, longest=0.1),
            )
            async with BackgroundTasks() as running:
                running.start_soon(driver.run)
                yield watched


def quick_world() -> World:
    """One L2 block to one L1 block, and a wide sequencing window: blocks come from batches alone."""
    return World.at(Fork.JOVIAN, l1=ScriptedL1(block_time=2), seq_window_size=200, channel_timeout=50)


async def batched(world: World, count: int) -> None:
    """So many L1 blocks, and then the L2 blocks that follow from them in a batch of each."""
    for _ in range(count):
        world.l1.mine()
        blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        world.l1.mine([world.batch(*blocks)])


def in_time(body: Any) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            await body()

    trio.run(main)


@pytest.mark.parametrize("depth", [1, 5, 64])
def test_a_reorg_while_it_derives_leads_to_what_the_new_branch_says(depth: int, tmp_path: Path) -> None:
    async def body() -> None:
        world = quick_world()
        await batched(world, 36)
        async with watching(world, tmp_path, RpcNode(l1=world.l1)) as watched:
            middle = max(world.l1.tip.header.number - depth + 1, 8)
            await watched.until(lambda driver: any(one.block.number >= middle for one in watched.saw(L1Traversed)))
            world.l1.reorg(depth)
            await world.sequencer.follow_l1()
            world.l1.mine_empty(depth)
            await world.sequencer.build_up_to_l1()
            blocks = world.sequencer.blocks
            for first in range(0, len(blocks), 10):  # those that are safe already are passed over
                world.l1.mine([world.batch(*blocks[first : first + 10])])
            expected = await reference(world)
            assert expected.hash == world.sequencer.blocks[-1].hash
            await watched.until(lambda driver: driver.started and driver.heads.safe == expected)
            assert watched.saw(PipelineReset)

    in_time(body)


async def reference(world: World) -> Any:
    """The safe head that a verifier finds that reads the L1 itself."""
    return await world.verifier().sync()


def test_empty_receipts_and_lags_of_one_server_change_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        world = quick_world()
        for number in range(10):
            world.l1.mine([world.l1.deposit(sender=ALICE.address, to=BOB.address, mint=number)])
            blocks = await world.sequencer.build_up_to_l1()
            world.l1.mine([world.batch(*blocks)])
        liar = RpcNode(l1=world.l1, change={"eth_getBlockReceipts": lambda found: []})
        lagging = RpcNode(l1=world.l1, behind=6)
        async with watching(world, tmp_path, liar, lagging, RpcNode(l1=world.l1)) as watched:
            expected = await reference(world)
            assert expected.number == 19
            await watched.until(lambda driver: driver.started and driver.heads.safe == expected)
            reasons = " ".join(event.reason for event in watched.saw(SourceDistrusted))
            assert "receipts of L1 block" in reasons

    in_time(body)


def test_an_outage_of_all_servers_in_the_middle_is_waited_out(tmp_path: Path) -> None:
    faults: list[Fault] = [Status(500), Hang(), Status(429, headers={"retry-after": "0"})]

    async def body() -> None:
        world = quick_world()
        await batched(world, 10)
        node = RpcNode(l1=world.l1)
        async with watching(world, tmp_path, node) as watched:
            for place, fault in enumerate(faults):
                reached = 4 + 4 * place
                await watched.until(
                    lambda driver, reached=reached: (
                        driver.derived_l1 is not None and driver.derived_l1.number >= reached
                    )
                )
                node.plant = lambda method, params, fault=fault: fault
                before = watched.failed
                await watched.until(lambda driver, before=before: watched.failed > before + 2)
                node.plant = lambda method, params: None
            expected = await reference(world)
            await watched.until(lambda driver: driver.started and driver.heads.safe == expected)

    in_time(body)
