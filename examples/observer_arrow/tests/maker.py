"""How the tests open the part."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_observer_arrow.offers import ArrowSettings

from kroma_core.api import Clock, Observer, PluginContext, Role
from kroma_core.events import Event
from kroma_core.testing.conformance.suites import scripted_chain
from kroma_core.testing.installed import installed_offers

KIND = "arrow"


@asynccontextmanager
async def opened_part(
    folder: Path,
    *,
    clock: Clock = time.time,
    emit: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> AsyncIterator[Any]:
    """The part, writing into `folder`."""
    [found] = installed_offers(KIND, Role.OBSERVE)
    context = PluginContext(chain=scripted_chain(), data_dir=folder, clock=clock, emit=emit)
    async with found.offer.open(ArrowSettings(**settings), context) as part:
        yield part


class Maker:
    """The method that the suite of observers leaves open."""

    @asynccontextmanager
    async def open_observer(self, folder: Path) -> AsyncIterator[Observer]:
        async with opened_part(folder) as part:
            yield part
