"""Every blob source keeps the contract of its role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from kroma_core.api import Role
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.testing.beacon_node import BeaconNode
from kroma_core.testing.blob_source import BlobDamage, BlobSourceSuite
from kroma_core.testing.faults import Plant, fault_front
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.contract.offers import damage_blob, opened, recorded, scripted_chain


class TestCassette(BlobSourceSuite):
    offer = (Role.BLOBS, "cassette")

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None) -> AsyncIterator[Any]:
        path = recorded(l1, folder)
        if damage is not None:
            damage_blob(path, damage)
        async with opened(*self.offer, scripted_chain(l1), folder, {"path": path}) as source:
            yield source


class TestBeacon(BlobSourceSuite):
    """A beacon node that serves `blobs`."""

    offer = (Role.BLOBS, "beacon")
    without: frozenset[str] = frozenset()

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None) -> AsyncIterator[Any]:
        node = BeaconNode(l1=l1, without=set(self.without), damage=_damaged(damage))
        async with trio.open_nursery() as nursery:
            url = await nursery.start(node.serve)
            async with opened(*self.offer, scripted_chain(l1), folder, {"url": url}) as source:
                yield source
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AsyncIterator[Any]:
        async with BackgroundTasks() as nursery:
            url = await nursery.start(BeaconNode(l1=l1, without=set(self.without)).serve)
            async with (
                fault_front(url, plant) as front,
                opened(*self.offer, scripted_chain(l1), folder, {"url": front}) as source,
            ):
                yield source


class TestBeaconOfBefore(TestBeacon):
    """One that serves `blob_sidecars` alone."""

    without = frozenset({"blobs"})


class TestArchive(BlobSourceSuite):
    offer = (Role.BLOBS, "archive")

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None) -> AsyncIterator[Any]:
        node = BeaconNode(l1=l1, damage=_damaged(damage))
        async with trio.open_nursery() as nursery:
            url = await nursery.start(node.serve)
            settings = {"url": f"{url}/archive/{{versioned_hash}}"}
            async with opened(*self.offer, scripted_chain(l1), folder, settings) as source:
                yield source
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AsyncIterator[Any]:
        async with BackgroundTasks() as nursery:
            url = await nursery.start(BeaconNode(l1=l1).serve)
            async with fault_front(url, plant) as front:
                settings = {"url": f"{front}/archive/{{versioned_hash}}"}
                async with opened(*self.offer, scripted_chain(l1), folder, settings) as source:
                    yield source


def _damaged(damage: BlobDamage | None) -> dict[bytes, bytes]:
    return {} if damage is None else {damage.versioned_hash: damage.data}


class TestScriptedL1(BlobSourceSuite):
    """The L1 that the other tests stand on."""

    reads_from_outside = False

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None) -> AsyncIterator[Any]:
        yield l1
