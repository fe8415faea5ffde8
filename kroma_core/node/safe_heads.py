"""The safe-head log: which L2 block was safe after which L1 block. Proposers and dispute games ask for it.

    log.record(l1, safe)     derivation from `l1` made `safe` safe; overrides what was recorded for that L1 block
    log.reset(safe)          derivation begins anew above `safe`
    log.at(l1_number)        what was safe after that L1 block

It is kept in SQLite (`safe_head_store`), written in batches by a task of its own; what is not written yet is answered
from memory. The file may be deleted at any time: what came before is unknown then. A process that was killed leaves the
last batch out at most, and `reset` marks the gap where that could make an answer wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from kroma_core.errors import NotFound
from kroma_core.events import Event, StoreSetAside
from kroma_core.node.safe_head_store import Entry, SafeHeadStore, StoreDamaged, set_aside
from kroma_core.types import ZERO_HASH, BlockId, L2Ref

FLUSH_SECONDS = 0.5
"""For how long changes are gathered before they are written."""


@attrs.define
class SafeHeadLog:
    """The log as the node sees it. Without a store it is kept in memory alone (tests, replays)."""

    _store: SafeHeadStore | None = None
    _emit: Callable[[Event], None] = lambda event: None
    _damage: str = attrs.field(default="", init=False)
    """What is wrong with the store; it is replaced at the next chance."""
    _fresh: dict[int, Entry] = attrs.field(factory=dict, init=False)
    """Entries that are not in the store yet, by L1 number."""
    _cut: int | None = attrs.field(default=None, init=False)
    """Entries of the store from this L1 number on no longer count."""
    _cuts: int = attrs.field(default=0, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def record(self, l1: BlockId, safe: BlockId) -> None:
        """After what was derived from `l1` so far, `safe` is the safe head."""
        self._put(Entry(l1=l1, safe=safe))

    def reset(self, safe: L2Ref) -> None:
        """Derivation begins anew above `safe`: what was recorded above it no longer counts.

        The L1 block that first made `safe` (or a block above it) safe keeps an entry, with `safe` in it, where the log
        reaches further back. Where the log ends below `safe` its end is marked: what came next is unknown.
        """
        found = self._first_reaching(safe)
        if found is not None:
            before = self._last_at(found.l1.number - 1)
            self._cut_at(found.l1.number)
            if before is not None and before.safe is not None:
                self._put(Entry(l1=found.l1, safe=safe.id))
            return
        last = self._last_at(None)
        if last is not None and last.safe is not None and last.safe.number < safe.number:
            self._put(Entry(l1=BlockId(ZERO_HASH, last.l1.number + 1), safe=None))

    def at(self, l1_number: int) -> tuple[BlockId, BlockId]:
        """The last L1 block up to `l1_number` that moved the safe head, and the safe head after it.

        Raises `NotFound` where the log does not tell: before its beginning, and in gaps.
        """
        found = self._last_at(l1_number)
        if found is None:
            raise NotFound(f"safe head at L1 block {l1_number}: the safe-head log has nothing that early")
        if found.safe is None:
            raise NotFound(f"safe head at L1 block {l1_number}: the safe-head log has a gap from {found.l1.number} on")
        return found.l1, found.safe

    async def keep_written(self) -> None:
        """Write changes as they come, until cancelled. Raises `CriticalError`, as on a full disk."""
        while True:
            await self._changed.wait()
            await trio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what has changed, in a thread. Raises `CriticalError`; the changes are not forgotten then."""
        self._changed = trio.Event()
        if self._store is not None and self._damage:
            self._store = _begun_anew(self._store, self._damage, self._emit)
            self._damage, self._cut = "", None
        if self._store is None or (self._cut is None and not self._fresh):
            return
        cuts, entries = self._cuts, tuple(self._fresh.values())
        try:
            await trio.to_thread.run_sync(self._store.write, self._cut, entries)
        except StoreDamaged as error:
            self._note_damage(error)
            return
        if self._cuts != cuts:
            return  # cut meanwhile, maybe into what was just written: all of it is written again
        self._cut = None
        for entry in entries:
            if self._fresh[entry.l1.number] is entry:
                del self._fresh[entry.l1.number]

    def close(self) -> None:
        """Let go of the file. Nothing may be asked after this."""
        if self._store is not None:
            self._store.close()

    def _put(self, entry: Entry) -> None:
        self._fresh[entry.l1.number] = entry
        self._changed.set()

    def _cut_at(self, number: int) -> None:
        self._fresh = {key: entry for key, entry in self._fresh.items() if key < number}
        self._cut = number if self._cut is None else min(self._cut, number)
        self._cuts += 1
        self._changed.set()

    def _last_at(self, l1_number: int | None) -> Entry | None:
        """The last entry up to an L1 block; None for no bound."""
        keys = [key for key in self._fresh if l1_number is None or key <= l1_number]
        best = self._fresh[max(keys)] if keys else None
        bounds = [bound for bound in (l1_number, None if self._cut is None else self._cut - 1) if bound is not None]
        for stored in self._stored(lambda store: store.up_to(min(bounds, default=None))):
            if best is None or stored.l1.number > best.l1.number:
                return stored
            break
        return best

    def _first_reaching(self, safe: L2Ref) -> Entry | None:
        """The first entry, from the L1 origin of `safe` on, whose safe head is `safe` or above it."""
        start = safe.l1_origin.number
        reaching = [
            entry
            for key, entry in self._fresh.items()
            if key >= start and entry.safe is not None and entry.safe.number >= safe.number
        ]
        best = min(reaching, key=lambda entry: entry.l1.number, default=None)
        for stored in self._stored(lambda store: store.reaching(safe.number, start, self._cut)):
            if best is not None and stored.l1.number >= best.l1.number:
                break
            if stored.l1.number not in self._fresh:
                return stored
        return best

    def _stored(self, read: Callable[[SafeHeadStore], Iterator[Entry]]) -> Iterator[Entry]:
        """Entries of the store; none where it turns out to be damaged."""
        if self._store is None or self._damage:
            return
        try:
            yield from read(self._store)
        except StoreDamaged as error:
            self._note_damage(error)

    def _note_damage(self, error: StoreDamaged) -> None:
        self._damage = str(error)
        self._changed.set()


@asynccontextmanager
async def open_safe_heads(path: Path, emit: Callable[[Event], None]) -> AsyncIterator[SafeHeadLog]:
    """The log in the file `path`, made where it is missing; a damaged file is set aside, with an event.

    Raises `CriticalError` where the file can be neither read nor made. What has changed is written when it is closed.
    """
    log = SafeHeadLog(_opened(path, emit), emit)
    try:
        yield log
    finally:
        try:
            with trio.CancelScope(shield=True):
                await log.flush()
        finally:
            log.close()


def _opened(path: Path, emit: Callable[[Event], None]) -> SafeHeadStore:
    try:
        return SafeHeadStore(path)
    except StoreDamaged as error:
        emit(StoreSetAside(store="safe-head log", path=str(set_aside(path)), reason=str(error)))
        return SafeHeadStore(path)


def _begun_anew(store: SafeHeadStore, damage: str, emit: Callable[[Event], None]) -> SafeHeadStore:
    emit(StoreSetAside(store="safe-head log", path=str(store.set_aside()), reason=damage))
    return SafeHeadStore(store.path)
