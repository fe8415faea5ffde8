"""Every blob source keeps the contract of its role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_core.api import Role
from kroma_core.testing.blob_source import BlobDamage, BlobSourceSuite
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


class TestScriptedL1(BlobSourceSuite):
    """The L1 that the other tests stand on."""

    reads_from_outside = False

    @asynccontextmanager
    async def open_source(self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None) -> AsyncIterator[Any]:
        yield l1
