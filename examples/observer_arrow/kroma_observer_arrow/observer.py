"""The observer: takes note in a queue with an end, and a task has a thread write what is in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import attrs
import pyarrow as pa
import trio

from kroma_core.api import Clock
from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Warned
from kroma_observer_arrow.offers import ArrowSettings
from kroma_observer_arrow.rows import dropped, row_of
from kroma_observer_arrow.tables import Tables

BATCH: Final = 4096
"""Events that are written at once; fewer where they have waited for long, and at the end."""
LONGEST_PAUSE: Final = 60.0
"""Seconds that an event may wait to be written."""
PART: Final = "observe arrow"
_UNWRITABLE: Final = (OSError, pa.ArrowException, ValueError, TypeError, OverflowError)
"""What a disk raises, and what a value that no column can hold does: neither may end the node."""


@attrs.frozen
class _Missing:
    """Stands in the queue where so many events were left out."""

    count: int


@attrs.define(kw_only=True)
class ArrowObserver:
    """Never waits for the disk: an event that finds the queue full is left out and counted.

    What is left out is a row of kind `Dropped` in `events`, where it is missing, and a warning. When a write fails the
    next event is answered with the error: the node goes on without this observer, and says so.
    """

    tables: Tables
    settings: ArrowSettings
    clock: Clock
    emit: Callable[[Event], None]
    _queue: deque[tuple[float, Event | _Missing]] = attrs.field(factory=deque, init=False)
    _missing: int = attrs.field(default=0, init=False)
    """Events left out after the last one in the queue."""
    _failure: str | None = attrs.field(default=None, init=False)
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _finishing: bool = attrs.field(default=False, init=False)
    _finished: trio.Event = attrs.field(factory=trio.Event, init=False)
    _thread: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    def on_event(self, event: Event) -> None:
        if self._failure is not None:
            raise TemporaryError(self._failure)
        if type(event).__name__ in self.settings.leave_out:
            return
        if len(self._queue) >= self.settings.queue:
            self._missing += 1
            return
        self._note_missing()
        self._queue.append((self.clock(), event))
        if len(self._queue) >= min(BATCH, self.settings.queue):
            self._woken.set()

    def _note_missing(self) -> None:
        if self._missing:
            self._queue.append((self.clock(), _Missing(self._missing)))
            self._missing = 0

    async def run(self) -> None:
        """Write until `finish` is called; then what is left, and close the files."""
        try:
            with trio.CancelScope(shield=True):
                await self._write_all()
        except _UNWRITABLE as error:
            self._failure = f"{PART}: cannot write to {self.tables.folder}: {error}"
        finally:
            self._finished.set()

    async def finish(self) -> None:
        """What has been told is on disk, in closed files, when this returns."""
        self._finishing = True
        self._woken.set()
        await self._finished.wait()

    async def _write_all(self) -> None:
        pause = min(self.settings.max_minutes * 60, LONGEST_PAUSE)
        while not self._finishing:
            with trio.move_on_after(pause) as waiting:
                await self._woken.wait()
            self._woken = trio.Event()
            if waiting.cancelled_caught:
                await self._write_some(len(self._queue))
            while len(self._queue) >= min(BATCH, self.settings.queue):
                await self._write_some(BATCH)
        self._note_missing()
        await self._write_some(len(self._queue))
        await trio.to_thread.run_sync(self.tables.close, limiter=self._thread)

    async def _write_some(self, most: int) -> None:
        """Write up to so many of the events that wait, and close the files that are due."""
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        now = self.clock()

        def write() -> None:
            rows = [
                dropped(told, item.count) if isinstance(item, _Missing) else row_of(told, item) for told, item in taken
            ]
            self.tables.write(rows, now)

        await trio.to_thread.run_sync(write, limiter=self._thread)
        missing = sum(item.count for _, item in taken if isinstance(item, _Missing))
        if missing:
            warning = f"{missing} events are left out of the tables: the disk was slower than the node"
            self.emit(Warned(part=PART, warning=warning))
