"""How the tests open the part: on top of the embedded engine, with a script or without."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kroma_engine_faults.offers import FaultSettings

from kroma_core.api import ExecutionEngine, InputFile, PluginContext, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event
from kroma_core.testing.conformance.suites import opened
from kroma_core.testing.installed import installed_offers

KIND = "faulty"
BELOW = "pyevm"


@asynccontextmanager
async def faulty(
    chain: ChainConfig, folder: Path, script: str = "", emit: Callable[[Event], None] = lambda event: None
) -> AsyncIterator[Any]:
    """The part on an engine of its own, whose chain is in `folder`."""
    [below], [found] = installed_offers(BELOW, Role.ENGINE), installed_offers(KIND, Role.ENGINE)
    for name in (BELOW, KIND):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "script.toml"
    path.write_text(script)
    async with opened(below, chain, folder / BELOW) as engine:
        context = PluginContext(chain=chain, data_dir=folder / KIND, clock=time.time, emit=emit)
        async with found.offer.open(FaultSettings(script=InputFile(path)), context, engine=engine) as part:
            yield part


class Maker:
    """The method that the suites of engines leave open; with an empty script the suites have to be green."""

    @asynccontextmanager
    async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[ExecutionEngine]:
        async with faulty(chain, folder) as engine:
            yield engine
