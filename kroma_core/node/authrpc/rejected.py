"""Blocks that the engine found invalid, and what was built on them.

Kept in memory only, and given another chance after many attempts: a verdict may have been the fault of the moment.
"""

from __future__ import annotations

from typing import Final

import attrs

from kroma_core.types import Hash32

_MOST: Final = 512
_ATTEMPTS: Final = 128


@attrs.frozen
class Rejected:
    """An invalid block and its parent, the last good one."""

    hash: Hash32
    parent: Hash32


class RejectedBlocks:
    """Remembers which hashes lead to an invalid block."""

    def __init__(self) -> None:
        self._bad: dict[Hash32, Rejected] = {}
        """By hash of the block itself or of one above it."""
        self._attempts: dict[Hash32, int] = {}

    def add(self, block: Hash32, parent: Hash32) -> None:
        self._remember(block, Rejected(block, parent))
        self._attempts[block] = 1

    def lead_to(self, block: Hash32, child: Hash32 | None = None) -> Rejected | None:
        """The invalid block that `block` is or stands on; `child` then stands on it as well."""
        found = self._bad.get(block)
        if found is None:
            return None
        attempts = self._attempts.get(found.hash, 0) + 1
        if attempts >= _ATTEMPTS:
            self._forget(found)
            return None
        self._attempts[found.hash] = attempts
        if child is not None:
            self._remember(child, found)
        return found

    def _remember(self, block: Hash32, bad: Rejected) -> None:
        while len(self._bad) >= _MOST and block not in self._bad:
            oldest = next(iter(self._bad))
            gone = self._bad.pop(oldest)
            if gone.hash == oldest:
                self._attempts.pop(oldest, None)
        self._bad[block] = bad

    def _forget(self, bad: Rejected) -> None:
        self._attempts.pop(bad.hash, None)
        self._bad = {block: found for block, found in self._bad.items() if found != bad}
