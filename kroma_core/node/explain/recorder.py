"""The observer that keeps the verdicts of a running node, and writes them beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from kroma_core.api import Clock
from kroma_core.errors import KromaError
from kroma_core.events import Event, HeadsMoved, StoreSetAside, Verdict, Warned
from kroma_core.node.explain.ledger import KEPT, Ledger, says_nothing
from kroma_core.node.explain.store import StoreProblem, VerdictStore
from kroma_core.node.profile import ExplainTable
from kroma_core.node.safe_head_store import set_aside
from kroma_core.node.tasks import task_group

PART = "explain"
FLUSH_SECONDS = 0.5
"""For how long events are gathered before they are written."""
HEARTBEAT_SECONDS = 5.0
"""How often the store is told that the node is there, at least."""
PRUNE_SECONDS = 60.0
MOST_PENDING = 500_000
"""Events that wait to be written; what comes above this is lost, and said to be."""

_DAY = 86_400.0
_MEGABYTE = 1 << 20


@attrs.define
class VerdictRecorder:
    """Gathers events from the beginning, also before its store is open. It never stops the node: a store that cannot be
    written is given up with a `Warned`."""

    table: ExplainTable
    clock: Clock
    _pending: list[Event] = attrs.field(factory=list, init=False)
    _heads: Event | None = attrs.field(default=None, init=False)
    _lost: int = attrs.field(default=0, init=False)
    _store: VerdictStore | None = attrs.field(default=None, init=False)
    _ledger: Ledger = attrs.field(factory=Ledger, init=False)
    _given_up: bool = attrs.field(default=False, init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _beat: float = attrs.field(default=float("-inf"), init=False)
    _pruned: float = attrs.field(default=float("-inf"), init=False)

    def on_event(self, event: Event) -> None:
        kind = type(event)
        if kind is HeadsMoved:
            self._heads = event  # the last one counts, and there is one a block
        elif kind in KEPT and not self._given_up and not (kind is Verdict and says_nothing(event)):
            if len(self._pending) < MOST_PENDING:
                self._pending.append(event)
            else:
                self._lost += 1

    @property
    def store(self) -> VerdictStore | None:
        """What has been written so far; None where nothing is kept. One reader at a time, with `reading`."""
        return self._store

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[VerdictStore | None]:
        """The store with everything that was told so far; nobody else uses it meanwhile."""
        await self.flush()
        async with self._writing:
            yield self._store

    @asynccontextmanager
    async def kept_in(self, path: Path, emit: Callable[[Event], None]) -> AsyncIterator[None]:
        """Write to the file `path` as long as the body runs; a damaged file is set aside, with an event."""
        try:
            self._store = await trio.to_thread.run_sync(_opened, path, emit)
        except StoreProblem as error:
            self._give_up(error, emit)
            yield
            return
        self._ledger = Ledger(self._store.last_id)
        ended: dict[str, str] = {}
        try:
            async with task_group() as nursery:
                nursery.start_soon(self._keep_written, emit)
                yield
                nursery.cancel_scope.cancel()
        except KromaError as error:
            ended = {"error": str(error)}
            raise
        finally:
            with trio.CancelScope(shield=True):
                self._ledger.note("ended", ended, self.clock())
                await self._flush_or_give_up(emit)
                if self._store is not None:
                    self._store.close()
                    self._store = None

    async def flush(self) -> None:
        """Write what was told, in a thread. Raises `StoreProblem`; it is not forgotten then."""
        async with self._writing:
            store, now = self._store, self.clock()
            if store is None:
                return
            if now - self._beat >= HEARTBEAT_SECONDS:
                self._beat = now
                self._ledger.note("alive", {}, now)
            events, self._pending = self._pending, []
            if self._heads is not None:
                events.append(self._heads)
                self._heads = None
            lost, self._lost = self._lost, 0
            if lost:
                self._ledger.note("lost", {"events": lost}, now)
            prune = now - self._pruned >= PRUNE_SECONDS
            if prune:
                self._pruned = now
            await trio.to_thread.run_sync(self._write, store, events, now, prune)

    async def _keep_written(self, emit: Callable[[Event], None]) -> None:
        while not self._given_up:
            await self._flush_or_give_up(emit)
            await trio.sleep(FLUSH_SECONDS)

    async def _flush_or_give_up(self, emit: Callable[[Event], None]) -> None:
        try:
            await self.flush()
        except StoreProblem as error:
            self._give_up(error, emit)

    def _write(self, store: VerdictStore, events: list[Event], now: float, prune: bool) -> None:
        changes = self._ledger.changes(events, now)
        if changes:
            store.write(changes)
        if prune:
            store.keep_within(
                oldest=now - self.table.max_age_days * _DAY, max_bytes=self.table.max_megabytes * _MEGABYTE
            )

    def _give_up(self, error: StoreProblem, emit: Callable[[Event], None]) -> None:
        self._given_up = True
        self._pending.clear()
        if self._store is not None:
            self._store.close()
            self._store = None
        emit(Warned(part=PART, warning=f"nothing more is kept for `kroma explain`: {error}"))


def _opened(path: Path, emit: Callable[[Event], None]) -> VerdictStore:
    try:
        return VerdictStore(path)
    except StoreProblem as error:
        if not path.exists():
            raise
        emit_later = StoreSetAside(store="verdict store", path=str(set_aside(path)), reason=str(error))
        trio.from_thread.run_sync(emit, emit_later)
        return VerdictStore(path)
