"""A source on servers of the test's own, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from kroma_l1_rpc.offers import RpcSettings, open_rpc
from kroma_l1_rpc.source import RpcL1

from kroma_core.api import PluginContext
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, SourceDistrusted
from kroma_core.forks import Fork
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.l1 import L1Heads
from kroma_core.testing.rpc_node import RpcNode
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on

QUICK = {"timeout": 0.3, "poll_interval": 0.02, "labels_interval": 0.0001, "patience": 0.1, "prefetch": 0}


@attrs.define(kw_only=True)
class Followed:
    """An open source, what it told, and the URLs of the servers behind it."""

    source: RpcL1 = attrs.field(init=False)
    events: list[Event]
    urls: list[str]
    _told: trio.Event = attrs.field(factory=trio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._told.set()

    async def told(self, holds: Callable[[Event], bool], *, ever: bool = False) -> None:
        """Wait for an event, from now on or `ever`, of which something holds."""
        place = 0 if ever else len(self.events)
        while not any(holds(event) for event in self.events[place:]):
            self._told = trio.Event()
            await self._told.wait()

    def distrusted(self, place: int = 0) -> list[str]:
        """Why the server at `place` was distrusted, each time."""
        return [
            event.reason
            for event in self.events
            if isinstance(event, SourceDistrusted) and event.server == self.urls[place]
        ]

    async def until(self, holds: Callable[[L1Heads], bool]) -> L1Heads:
        """The first heads of which something holds."""
        async for heads in self.source.subscribe():
            if holds(heads):
                return heads
        raise AssertionError("a live source has no end")


Opener = Callable[..., AbstractAsyncContextManager[Followed]]


def chain_of(l1: ScriptedL1) -> ChainConfig:
    return rollup_on(l1, forks=all_forks_until(Fork.ECOTONE))


@pytest.fixture
def follow(tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def opened(*nodes: RpcNode | str, **settings: Any) -> AsyncIterator[Followed]:
        """A source on these nodes, or on URLs where nobody may be; settings are quick ones unless told otherwise."""
        followed = Followed(events=[], urls=[])
        l1 = next(node.l1 for node in nodes if isinstance(node, RpcNode))
        context = PluginContext(chain=chain_of(l1), data_dir=tmp_path, clock=lambda: 0.0, emit=followed.emit)
        async with BackgroundTasks() as nursery:
            urls = [node if isinstance(node, str) else await nursery.start(node.serve) for node in nodes]
            async with open_rpc(RpcSettings(urls=tuple(urls), **(QUICK | settings)), context) as source:
                assert isinstance(source, RpcL1)
                followed.source, followed.urls = source, urls
                yield followed

    return opened


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[None]]], None]:
    def running(body: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            with trio.fail_after(30):
                await body()

        trio.run(main)

    return running
