"""Verified blocks and receipts that are likely to be asked for again, within a bound of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.types import Hash32

V = TypeVar("V")


class ByteBoundedCache(Generic[V]):
    """Values by hash; those that were not asked for longest make way. A value above the bound is not kept."""

    def __init__(self, bound: int, size_of: Callable[[V], int]) -> None:
        self._bound = bound
        self._size_of = size_of
        self._held: OrderedDict[Hash32, tuple[V, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hash32) -> V | None:
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hash32, value: V) -> None:
        size = self._size_of(value)
        self.drop(key)
        self._held[key] = (value, size)
        self._bytes += size
        while self._bytes > self._bound and self._held:
            _, (_, gone) = self._held.popitem(last=False)
            self._bytes -= gone

    def drop(self, key: Hash32) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= found[1]

    def size(self, key: Hash32) -> int:
        """Bytes that a value takes; 0 where it is not held. Does not count as asking for it."""
        found = self._held.get(key)
        return 0 if found is None else found[1]

    def __contains__(self, key: Hash32) -> bool:
        return key in self._held

    @property
    def bytes(self) -> int:
        return self._bytes


_OBJECT = 120
"""About what Python adds to each bytes object in a tuple or an attrs class."""


def block_size(block: L1Block) -> int:
    """About the bytes that a block takes in memory."""
    return 2_500 + sum(len(raw) + _OBJECT for raw in block.transactions)


def receipts_size(receipts: L1Receipts) -> int:
    """About the bytes that receipts take in memory."""
    logs = sum(3 * _OBJECT + len(log.data) + len(log.topics) * (_OBJECT + 32) for one in receipts for log in one.logs)
    return 200 + logs + len(receipts) * (256 + 3 * _OBJECT)
