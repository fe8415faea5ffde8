"""Blocks that came ahead of L1 and wait for the block below them.

Lowest number first, each block once. Where the bound in bytes is reached the lowest blocks go: L1 brings those first.
"""

from __future__ import annotations

import enum
import heapq
import itertools

import attrs

from kroma_core.l2 import Payload
from kroma_core.types import Hash32, L2Ref

MAX_BYTES = 500 << 20
"""The most that all blocks in the queue may take."""

_PAYLOAD_BYTES = 1000
_TRANSACTION_BYTES = 24
"""What a payload and a transaction take besides the transactions' own bytes, by op-node's estimate."""


class Outcome(enum.StrEnum):
    """What became of a block that was brought."""

    QUEUED = "queued"
    INSERTED = "inserted"
    DUPLICATE = "known already"
    PAST = "at or below the unsafe head"
    SAFE = "at or below the safe head"
    OTHER_CHAIN = "not on the unsafe head"
    TOO_LARGE = "larger than the whole queue"
    CROWDED_OUT = "dropped: the queue is full"
    INVALID = "refused by the engine"


@attrs.frozen(kw_only=True)
class Waiting:
    """A block in the queue, and who brought it."""

    payload: Payload = attrs.field(repr=False)
    ref: L2Ref
    source: str


@attrs.frozen(order=True)
class _Entry:
    number: int
    turn: int
    """Among blocks of one number the first that came goes first."""
    waiting: Waiting = attrs.field(order=False)
    size: int = attrs.field(order=False)


@attrs.define
class UnsafeQueue:
    """Not yet part of the chain; lowest number first. `max_bytes` bounds the sum of `size_of`."""

    max_bytes: int = MAX_BYTES
    size: int = attrs.field(default=0, init=False)
    """Bytes of all blocks in the queue."""
    _heap: list[_Entry] = attrs.field(factory=list, init=False)
    _hashes: set[Hash32] = attrs.field(factory=set, init=False)
    _turns: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def first(self) -> Waiting | None:
        """The block with the lowest number."""
        return self._heap[0].waiting if self._heap else None

    def push(self, block: Waiting) -> tuple[Outcome, list[Waiting]]:
        """Take a block up, if it fits and is new; also the other blocks that had to make way."""
        payload, size = block.payload, size_of(block.payload)
        if payload.hash in self._hashes:
            return Outcome.DUPLICATE, []
        if size > self.max_bytes:
            return Outcome.TOO_LARGE, []
        heapq.heappush(self._heap, _Entry(payload.number, next(self._turns), block, size))
        self._hashes.add(payload.hash)
        self.size += size
        crowded: list[Waiting] = []
        while self.size > self.max_bytes:
            crowded.append(self._take())
        if block in crowded:
            return Outcome.CROWDED_OUT, [one for one in crowded if one is not block]
        return Outcome.QUEUED, crowded

    def pop(self) -> Waiting:
        """Take the first block out. Raises `IndexError` where there is none."""
        return self._take()

    def remove(self, block: Waiting) -> None:
        """Take a block out wherever it stands; one that is gone already is no mistake."""
        if self._heap and self._heap[0].waiting is block:
            self._take()
            return
        kept = [entry for entry in self._heap if entry.waiting is not block]
        if len(kept) < len(self._heap):
            self._heap = kept
            heapq.heapify(self._heap)
            self._hashes.discard(block.payload.hash)
            self.size -= size_of(block.payload)

    def pop_useless(self, unsafe: L2Ref, safe: L2Ref) -> tuple[Outcome, Waiting] | None:
        """Take the first block out if it can never follow `unsafe`; None where it may."""
        if not self._heap:
            return None
        block = self._heap[0].waiting.payload
        if block.hash == unsafe.hash:
            outcome = Outcome.DUPLICATE
        elif block.number <= safe.number:
            outcome = Outcome.SAFE
        elif block.number <= unsafe.number:
            outcome = Outcome.PAST
        elif block.number == unsafe.number + 1 and block.parent_hash != unsafe.hash:
            outcome = Outcome.OTHER_CHAIN
        else:
            return None
        return outcome, self._take()

    def _take(self) -> Waiting:
        entry = heapq.heappop(self._heap)
        self._hashes.discard(entry.waiting.payload.hash)
        self.size -= entry.size
        return entry.waiting


def size_of(payload: Payload) -> int:
    """The bytes that a payload takes in the queue, about."""
    return _PAYLOAD_BYTES + sum(len(raw) + _TRANSACTION_BYTES for raw in payload.transactions)
