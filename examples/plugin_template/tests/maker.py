"""How the tests open the part."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kroma_core.api import BlobSource
from kroma_core.testing.conformance.suites import opened, scripted_chain
from kroma_core.testing.installed import installed_offers
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1

KIND = "deflated-data"


class Maker:
    """The two methods that the suite of data sources leaves open."""

    @asynccontextmanager
    async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
        with TemporaryDirectory() as folder:
            async with opened(installed_offers(KIND)[0], scripted_chain(), Path(folder)) as source:
                yield source

    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        return [l1.batcher_tx(content) for content in contents]
