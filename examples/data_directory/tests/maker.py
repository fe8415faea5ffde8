"""How the tests open the part: with a folder, or with a bucket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
from bucket import bucket
from kroma_data_directory.offers import DirectorySettings

from kroma_core.api import BlobSource, DataSource, PluginContext, Role
from kroma_core.events import Event
from kroma_core.testing.conformance.suites import scripted_chain
from kroma_core.testing.installed import installed_offers
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1

KIND = "directory"


@asynccontextmanager
async def opened_part(
    settings: DirectorySettings, own: Path, emit: Callable[[Event], None] = lambda event: None
) -> AsyncIterator[Any]:
    """The part with these settings; `own` is its folder in the node."""
    [found] = installed_offers(KIND, Role.DATA)
    await trio.Path(own).mkdir(parents=True, exist_ok=True)
    context = PluginContext(chain=scripted_chain(), data_dir=own, clock=time.time, emit=emit)
    async with found.offer.open(settings, context) as part:
        yield part


class Maker:
    """The two methods that the suite of data sources leaves open, over a folder."""

    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[DataSource]:
        with TemporaryDirectory() as folder:
            async with opened_part(DirectorySettings(folder=Path(folder, "shared")), Path(folder, "own")) as part:
                yield part

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        return [l1.batcher_tx(content) for content in contents]


class BucketMaker(Maker):
    """The same over HTTP."""

    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[DataSource]:
        with TemporaryDirectory() as folder, bucket() as objects:
            async with opened_part(DirectorySettings(url=objects.url), Path(folder)) as part:
                yield part
