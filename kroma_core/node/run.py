"""The node as a whole: parts in, a chain that is followed until the L1 ends or the operator stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, HeadsMoved
from kroma_core.l2 import Heads
from kroma_core.node.driver import Driver
from kroma_core.node.retry import RetryPolicy


@attrs.define(kw_only=True)
class Node:
    """Follows L1 with the parts of a profile.

    `policy` and `resets_without_progress` say how long to wait for parts that do not answer (see `Driver`); the head is
    reached when the safe head has the number `stop_after`.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    emit: Callable[[Event], None]
    policy: RetryPolicy
    resets_without_progress: int | None
    stop_after: int | None = None

    async def run(self) -> Heads | None:
        """Run to the end of the L1 source; the heads then reached, or None when there was no L1 head at all."""
        with trio.CancelScope() as scope:
            driver = Driver(
                config=self.config,
                l1=self.l1,
                data=self.data,
                engine=self.engine,
                emit=self._stopping(scope),
                policy=self.policy,
                resets_without_progress=self.resets_without_progress,
            )
            await driver.follow()
        return driver.heads if driver.started else None

    def _stopping(self, scope: trio.CancelScope) -> Callable[[Event], None]:
        def emit(event: Event) -> None:
            self.emit(event)
            if self.stop_after is not None and isinstance(event, HeadsMoved) and event.safe.number >= self.stop_after:
                scope.cancel()

        return emit
