"""The node as a whole: parts in, a chain that is followed until the L1 ends or the operator stops it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import Clock, DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, HeadsMoved
from kroma_core.l2 import Heads
from kroma_core.node.driver import Driver
from kroma_core.node.isolation.derivation import Derivations, InThisProcess
from kroma_core.node.profile import LogLevel, SyncMode
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.safe_head_store import SAFE_HEADS
from kroma_core.node.safe_heads import SafeHeadLog, open_safe_heads
from kroma_core.node.tasks import task_group
from kroma_core.node.view import NodeView, Service
from kroma_core.types import Hash32


@attrs.define(kw_only=True)
class Node:
    """Follows L1 with the parts of a profile, its services beside it.

    `policy` and `resets_without_progress` say how long to wait for parts that do not answer (see `Driver`); the head is
    reached when the safe head has the number `stop_after`. `timeline`: the L1 source is a recorded one. Without
    `data_dir` nothing is kept. `on_service` is told what each service reports when it has begun, in their order.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    emit: Callable[[Event], None]
    policy: RetryPolicy
    resets_without_progress: int | None
    stop_after: int | None = None
    name: str = "node"
    data_dir: Path | None = None
    clock: Clock = time.time
    set_log_level: Callable[[LogLevel], None] = lambda level: None
    timeline: bool = False
    l1_confirmations: int = 0
    sync_mode: SyncMode = SyncMode.CONSENSUS_LAYER
    checkpoint: Hash32 | None = None
    derivations: Derivations = attrs.field(factory=InThisProcess)
    services: Sequence[Service] = ()
    on_service: Callable[[Any], None] = lambda reported: None

    async def run(self) -> Heads | None:
        """Run to the end of the L1 source; the heads then reached, or None when there was no L1 head at all."""
        async with self._safe_heads() as safe_heads:
            with trio.CancelScope() as scope:
                driver = Driver(
                    config=self.config,
                    l1=self.l1,
                    data=self.data,
                    engine=self.engine,
                    emit=self._stopping(scope),
                    policy=self.policy,
                    resets_without_progress=self.resets_without_progress,
                    safe_heads=safe_heads,
                    l1_confirmations=self.l1_confirmations,
                    sync_mode=self.sync_mode,
                    checkpoint=self.checkpoint,
                    derivations=self.derivations,
                )
                await self._run(driver)
        return driver.heads if driver.started else None

    async def _run(self, driver: Driver) -> None:
        view = NodeView(
            name=self.name,
            chain=self.config,
            data_dir=self.data_dir or Path(),
            l1=self.l1,
            engine=self.engine,
            driver=driver,
            clock=self.clock,
            emit=self.emit,
            set_log_level=self.set_log_level,
        )
        async with task_group() as nursery:
            for service in self.services:
                self.on_service(await nursery.start(service, view))
            await driver.run(stepwise=self.timeline)
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def _safe_heads(self) -> AsyncIterator[SafeHeadLog]:
        if self.data_dir is None:
            yield SafeHeadLog()
            return
        async with open_safe_heads(self.data_dir / SAFE_HEADS, self.emit) as log:
            yield log

    def _stopping(self, scope: trio.CancelScope) -> Callable[[Event], None]:
        def emit(event: Event) -> None:
            self.emit(event)
            if self.stop_after is not None and isinstance(event, HeadsMoved) and event.safe.number >= self.stop_after:
                scope.cancel()

        return emit
