"""What a server may be asked for: calls a second, requests at once, calls in a batch."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Budget:
    """Lets as much through as one server allows; the rest waits, in order.

    `per_second` counts calls, each of a batch (0: no limit); a second's worth may be used at once. `at_once` counts
    requests under way.
    """

    def __init__(self, *, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._slots = trio.Semaphore(at_once)
        self._turn = trio.Lock()
        self._free_at = -math.inf
        """When the calls let through so far are paid for."""

    @asynccontextmanager
    async def spend(self, calls: int) -> AsyncIterator[None]:
        """Wait for the turn of a request of so many calls, and hold its place until it is answered."""
        async with self._slots:
            if self._per_second > 0:
                await self._paid(calls)
            yield

    async def _paid(self, calls: int) -> None:
        async with self._turn:
            now = trio.current_time()
            self._free_at = max(self._free_at, now - 1.0) + calls / self._per_second
            wait = self._free_at - now
            if wait > 0:
                await trio.sleep(wait)
