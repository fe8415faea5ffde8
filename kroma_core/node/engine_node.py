"""A node that does not derive: an engine with services on it, for another rollup node to drive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import Clock, ExecutionEngine
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event
from kroma_core.node.profile import LogLevel
from kroma_core.node.tasks import task_group
from kroma_core.node.view import EngineService, EngineView


@attrs.define(kw_only=True)
class EngineNode:
    """Serves an engine until it is cancelled. `on_service` is told what each service reports, in their order."""

    config: ChainConfig
    engine: ExecutionEngine
    emit: Callable[[Event], None]
    data_dir: Path
    services: Sequence[EngineService]
    name: str = "node"
    clock: Clock = time.time
    set_log_level: Callable[[LogLevel], None] = lambda level: None
    on_service: Callable[[Any], None] = lambda reported: None

    async def run(self) -> None:
        """Run the services. The first error that one of them raises ends the others and is raised."""
        view = EngineView(
            name=self.name,
            chain=self.config,
            data_dir=self.data_dir,
            engine=self.engine,
            clock=self.clock,
            emit=self.emit,
            set_log_level=self.set_log_level,
        )
        async with task_group() as nursery:
            for service in self.services:
                self.on_service(await nursery.start(service, view))
            await trio.sleep_forever()
