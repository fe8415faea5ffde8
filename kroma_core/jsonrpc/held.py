"""What a server's clients make it hold: requests that are not complete, and answers that they do not take.

Each connection has limits of its own; this one is for all of them together. Where it is passed, the connections that
hold most are ended, until it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio


@attrs.define(eq=False)
class Share:
    """What one connection holds, in bytes."""

    _all: HeldBytes
    scope: trio.CancelScope
    """Cancelled where the connection has to end."""
    size: int = 0

    def add(self, size: int) -> None:
        """More is held. This may be what ends the connection."""
        self.size += size
        self._all.added(size)

    def release(self, size: int) -> None:
        """Less is held."""
        self.size -= size
        self._all.added(-size)


class HeldBytes:
    """The shares of all connections of a server, which may come to `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._sum = most, 0
        self._shares: set[Share] = set()

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A connection's share, for as long as it is open; the block is cancelled where it holds too much."""
        with trio.CancelScope() as scope:
            share = Share(self, scope)
            self._shares.add(share)
            try:
                yield share
            finally:
                self._shares.discard(share)
                self._sum -= share.size

    def added(self, size: int) -> None:
        """One of the shares has changed by so much."""
        self._sum += size
        if self._sum <= self._most:
            return
        excess = self._sum - self._most
        for share in sorted(self._shares, key=lambda share: share.size, reverse=True):
            if excess <= 0:
                return
            excess -= share.size
            share.scope.cancel()
