"""Every L1 source keeps the contract of its role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Role
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.testing.faults import Plant, fault_front
from kroma_core.testing.l1_source import Damage, L1SourceSuite, collected
from kroma_core.testing.rpc_node import RpcNode
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.contract.offers import damage_block, opened, recorded, scripted_chain


class TestCassette(L1SourceSuite):
    offer = (Role.L1, "cassette")

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: Damage | None = None) -> AsyncIterator[Any]:
        path = recorded(l1, folder, last_head_only=damage is not None)
        if damage is not None:
            damage_block(path, damage)
        async with opened(*self.offer, scripted_chain(l1), folder, {"path": path}) as source:
            await to_the_end(source)
            yield source


class TestRpc(L1SourceSuite):
    offer = (Role.L1, "rpc")

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: Damage | None = None) -> AsyncIterator[Any]:
        node = RpcNode(l1=l1)
        if damage is not None:
            node.damage[damage.block_hash] = damage.content
        async with BackgroundTasks() as nursery:
            url = await nursery.start(node.serve)
            async with opened(*self.offer, scripted_chain(l1), folder, {"urls": (url,)}) as source:
                yield source

    @asynccontextmanager
    async def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AsyncIterator[Any]:
        async with BackgroundTasks() as nursery:
            url = await nursery.start(RpcNode(l1=l1).serve)
            async with (
                fault_front(url, plant) as front,
                opened(*self.offer, scripted_chain(l1), folder, {"urls": (front,)}) as source,
            ):
                yield source


class TestScriptedL1(L1SourceSuite):
    """The L1 that the other tests stand on."""

    reads_from_outside = False

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: Damage | None = None) -> AsyncIterator[Any]:
        yield l1


async def to_the_end(source: Any) -> None:
    """Let a source with a recorded timeline stand at its last head."""
    await collected(source.subscribe())
