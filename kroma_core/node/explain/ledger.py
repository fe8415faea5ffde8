"""From events to rows of the verdict store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import attrs

from kroma_core.derive.channels import ChannelProblem
from kroma_core.events import (
    Asked,
    BatchPlace,
    BlockDerived,
    ChannelRead,
    Event,
    FramesRead,
    HeadsMoved,
    InboxRead,
    L1HeadsChanged,
    L1Reorganised,
    L1Traversed,
    Outcome,
    PartDetached,
    PipelineReset,
    RequestAnswered,
    Retrying,
    Searching,
    SourceDistrusted,
    StateMigrating,
    Subject,
    UnsafePayload,
    Verdict,
)
from kroma_core.node.explain.schema import HOLDS, INSERT, OF_L1, READ_AGAIN, REORGANISED
from kroma_core.node.explain.store import Change
from kroma_core.node.explain.trouble import asked_of
from kroma_core.types import BlockId, L1Ref

KEPT: Final = frozenset(
    {
        Verdict, InboxRead, FramesRead, ChannelRead, L1Traversed, BlockDerived, HeadsMoved, PipelineReset, Retrying,
        L1HeadsChanged, L1Reorganised, UnsafePayload, RequestAnswered, SourceDistrusted, Searching, PartDetached,
        StateMigrating,
    }
)  # fmt: skip
"""The events that the store is made of."""

_STATE = "INSERT OR REPLACE INTO state VALUES (?, ?, ?)"
_DROP_FRAME = (
    "UPDATE frames SET dropped = ? WHERE id = (SELECT max(id) FROM frames "
    "WHERE run = ? AND l1 = ? AND channel = ? AND number = ? AND dropped IS NULL)"
)
_GIVE_UP_BLOCKS = (
    "UPDATE blocks SET void = ? WHERE void = ? AND l1 >= ? "
    "AND id > (SELECT coalesce(min(id), 0) FROM l1_blocks WHERE l1 >= ?)"
)
_SPEAKING = frozenset({"ok", "error", "status 404"})


@attrs.define
class Ledger:
    """Follows the events of one node. `last_id` is the highest id that the store has given."""

    last_id: int = 0
    _run: int = attrs.field(default=0, init=False)
    _l1: int = attrs.field(default=-1, init=False)
    _rows: dict[str, list[tuple[Any, ...]]] = attrs.field(factory=dict, init=False)
    _blocks: list[tuple[Any, ...]] = attrs.field(factory=list, init=False)
    _state: dict[str, tuple[str, str, float]] = attrs.field(factory=dict, init=False)
    _heads: HeadsMoved | None = attrs.field(default=None, init=False)
    _before_input: int | None = attrs.field(default=None, init=False)
    """An id below those of the frames that were read last, for what these put an end to."""
    _changes: list[Change] = attrs.field(factory=list, init=False)
    _servers: dict[tuple[str, str], bool] = attrs.field(factory=dict, init=False)
    _since: dict[str, tuple[float, int]] = attrs.field(factory=dict, init=False)
    """By kind of trouble: when it began, and how often it was met since."""

    def changes(self, events: Iterable[Event], now: float) -> list[Change]:
        """What these events change; `now` is when they were told, nearly."""
        for event in events:
            if type(event) is BlockDerived:  # most of them, when many come
                self._derived(event)
            elif type(event) is HeadsMoved:  # as many: the last one counts
                self._heads = event
            else:
                self._take(event, now)
        self._barrier()
        if self._heads is not None:
            moved, self._heads = self._heads, None
            names = ("unsafe", "safe", "finalized", "derived_l1")
            self.note("heads", {name: _block(getattr(moved, name)) for name in names}, now)
        if self._state:
            self._changes.append((_STATE, list(self._state.values())))
            self._state = {}
        made, self._changes = self._changes, []
        return made

    def note(self, key: str, value: object, now: float) -> None:
        """Have a state written with the next changes."""
        self._state[key] = (key, json.dumps(value), now)

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Verdict():
                self._judged(event)
            case L1Traversed(block=block):
                self._l1 = block.number
                self._put("l1_blocks", block.number, block.hash, block.timestamp, now)
                self._over(Asked.L1, Asked.DATA, Asked.ENGINE)
            case InboxRead():
                self._put(
                    "transactions", event.origin.number, event.transaction, event.index, event.type, event.blobs,
                    event.inputs,
                )  # fmt: skip
            case FramesRead():
                self._frames(event)
            case ChannelRead():
                l1 = event.origin.number if event.origin is not None else self._l1
                self._put(
                    "channels", l1, event.channel_id, event.opened, event.frames, event.compressed,
                    event.decompressed, event.compression, event.batches,
                )  # fmt: skip
            case _:
                self._happened(event, now)

    def _derived(self, event: BlockDerived) -> None:
        block, place = event.block, event.place
        self.last_id = id = self.last_id + 1
        self._blocks.append(
            (
                id, self._run, event.derived_from.number, block.number, block.hash, block.l1_origin.number,
                block.sequence_number, event.batch, None if place is None else place.channel_id,
                None if place is None else place.index, event.transactions, event.consolidated,
            )
        )  # fmt: skip
        if self._since:
            self._over(Asked.ENGINE, Asked.L1, Asked.DATA)

    def _happened(self, event: Event, now: float) -> None:
        """Take note of what concerns the node more than its data."""
        match event:
            case PipelineReset():
                self._begin(event, now)
            case L1Reorganised():
                self._barrier()
                first = event.old.number - event.depth + 1
                self._changes.append((_GIVE_UP_BLOCKS, [(REORGANISED, HOLDS, first, first)]))
                for table in OF_L1:
                    void = f"UPDATE {table} SET void = ? WHERE void = ? AND l1 >= ?"
                    self._changes.append((void, [(REORGANISED, HOLDS, first)]))
                reorg = {"depth": event.depth, "old": _block(event.old), "new": _block(event.new), "id": self._next()}
                self.note("reorg", reorg, now)
            case L1HeadsChanged(heads=heads):
                shown = {"unsafe": heads.unsafe, "safe": heads.safe, "finalized": heads.finalized}
                self.note("l1_heads", {name: _l1(ref) for name, ref in shown.items()}, now)
                self._over(Asked.L1_HEADS)
            case Retrying():
                self._retried(event, now)
            case RequestAnswered(part=part, server=server, outcome=outcome):
                speaks = outcome in _SPEAKING
                if self._servers.get((part, server)) is not speaks:
                    self._servers[part, server] = speaks
                    found = {"speaks": speaks, "outcome": outcome, "method": event.method, "part": part}
                    self.note(f"server/{part}/{server}", {**found, "server": server}, now)
            case SourceDistrusted():
                self.note(f"distrusted/{event.part}", {"server": event.server, "reason": event.reason}, now)
            case Searching():
                self.note("searching", attrs.asdict(event), now)
                self._over(Asked.L1, Asked.ENGINE)
            case StateMigrating(complete=True):
                self._forget("migrating")
            case StateMigrating():
                self.note("migrating", attrs.asdict(event), now)
            case UnsafePayload():
                self.note("unsafe", {"block": _block(event.block), "outcome": event.outcome}, now)
            case PartDetached():
                self.note(f"detached/{event.part}", {"error": event.error}, now)

    def _begin(self, event: PipelineReset, now: float) -> None:
        self._barrier()
        start, safe = event.l1_start.number, event.safe.number
        for table in OF_L1:
            void = f"UPDATE {table} SET void = ? WHERE void = ? AND l1 >= ?"
            self._changes.append((void, [(READ_AGAIN, HOLDS, start)]))
        self._changes.append(("UPDATE blocks SET void = ? WHERE void = ? AND number > ?", [(READ_AGAIN, HOLDS, safe)]))
        self._run = self._next()
        self._changes.append((INSERT["runs"], [(self._run, now, event.reason, safe, start)]))
        self._over(Asked.L1, Asked.ENGINE)
        self._forget("migrating")

    def _frames(self, event: FramesRead) -> None:
        transaction, _, number = event.input.rpartition("/")
        source = bytes.fromhex(transaction) if transaction else b""
        place = int(number) if transaction else 0
        self._before_input = self._next()
        for frame in event.frames:
            self._put(
                "frames", event.origin.number, source, place, frame.channel_id, frame.number, frame.size,
                int(frame.is_last),
            )  # fmt: skip

    def _judged(self, verdict: Verdict) -> None:
        if says_nothing(verdict):
            return
        l1 = verdict.origin.number if verdict.origin is not None else self._l1
        channel, batch = _place(verdict.place)
        id = None
        if verdict.subject is Subject.CHANNEL:
            channel = bytes.fromhex(verdict.name)
            if verdict.reason is ChannelProblem.ABANDONED:  # by a frame of this input, which is not of the channel
                id, self._before_input = self._before_input, None
        elif verdict.subject is Subject.FRAME:
            name, _, number = verdict.name.rpartition("/")
            channel = bytes.fromhex(name)
            self._barrier()
            self._changes.append((_DROP_FRAME, [(verdict.reason.value, self._run, l1, channel, int(number))]))
        numbers = json.dumps([[name, _plain(value)] for name, value in verdict.numbers])
        self._put(
            "verdicts", l1, verdict.subject.value, verdict.name, verdict.outcome.value, verdict.reason.value,
            verdict.reason.name, verdict.rule, numbers, channel, batch, id=id,
        )  # fmt: skip

    def _retried(self, event: Retrying, now: float) -> None:
        asked = asked_of(event)
        began, count = self._since.get(asked, (now, 0))
        self._since[asked] = began, count + 1
        trouble = {
            "part": event.part,
            "what": event.what,
            "error": event.error,
            "attempt": event.attempt,
            "delay": event.delay,
            "since": began,
            "count": count + 1,
            "trouble": event.trouble,
            "over": False,
        }
        self.note(f"trouble/{asked}", trouble, now)

    def _over(self, *kinds: Asked) -> None:
        """What was tried again has succeeded."""
        if not self._since:
            return
        for kind in kinds:
            if self._since.pop(kind, None) is not None:
                self._barrier()
                self._forget(f"trouble/{kind}")

    def _forget(self, key: str) -> None:
        self._state.pop(key, None)
        self._changes.append(("DELETE FROM state WHERE key = ?", [(key,)]))

    def _put(self, table: str, *values: Any, id: int | None = None) -> None:
        if id is None:
            id = self._next()
        rows = self._rows.get(table)
        if rows is None:
            rows = self._rows[table] = []
        rows.append((id, self._run, *values))

    def _next(self) -> int:
        self.last_id += 1
        return self.last_id

    def _barrier(self) -> None:
        """What comes next changes rows that are there."""
        if self._blocks:
            self._changes.append((INSERT["blocks"], self._blocks))
            self._blocks = []
        if self._rows:
            self._changes += [(INSERT[table], rows) for table, rows in self._rows.items()]
            self._rows = {}


def says_nothing(event: Event) -> bool:
    """Whether this is the verdict on a valid single batch: the block that comes of it says as much."""
    if not isinstance(event, Verdict):
        return False
    return event.subject is Subject.BATCH and event.outcome is Outcome.ACCEPTED and not event.numbers


def _place(place: BatchPlace | None) -> tuple[bytes | None, int | None]:
    return (None, None) if place is None else (place.channel_id, place.index)


def _block(block: BlockId) -> dict[str, object]:
    return {"number": block.number, "hash": "0x" + block.hash.hex()}


def _l1(ref: L1Ref | None) -> dict[str, object] | None:
    return None if ref is None else {**_block(ref.id), "time": ref.timestamp}


def _plain(value: int | str | bytes) -> int | str:
    return "0x" + value.hex() if isinstance(value, bytes) else value
