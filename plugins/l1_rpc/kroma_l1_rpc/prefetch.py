"""Fetches the blocks that will be asked for next, while what came before is derived from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import trio

from kroma_core.codec.headers import Header
from kroma_core.errors import TemporaryError
from kroma_core.l1 import L1Block
from kroma_l1_rpc.cache import block_size
from kroma_l1_rpc.fetching import Fetching
from kroma_l1_rpc.heads import LINK_WINDOW, HeadFollower
from kroma_l1_rpc.server import Key

PORTION: Final = 4
"""Blocks in one request: their JSON is large."""
_FIRST_GUESS: Final = 100_000
"""Bytes that a block is taken to have before one has come."""


class Prefetch:
    """Keeps up to `depth` blocks above the one that is being read, and the receipts of those that need them.

    No more than `at_once` requests are under way, and no more than half the cache is filled ahead. What fails is left
    to whoever asks for it.
    """

    def __init__(
        self,
        fetching: Fetching,
        heads: HeadFollower,
        *,
        needs_receipts: Callable[[Header], bool],
        depth: int,
        at_once: int,
        cache_bytes: int,
    ) -> None:
        self._fetching = fetching
        self._heads = heads
        self._needs_receipts = needs_receipts
        self._depth = depth
        self._most_bytes = cache_bytes // 3
        self._slots = trio.Semaphore(at_once)
        self._expected_size = _FIRST_GUESS
        """Bytes of a block that is on its way: as many as the largest of those that came last."""
        self._reading: int | None = None
        self._under_way: dict[int, trio.Event] = {}
        self._wake = trio.Event()

    def reading(self, number: int) -> None:
        """A block is being read: the next ones are wanted soon."""
        if number != self._reading:
            self._reading = number
            self._wake.set()

    async def arrived(self, number: int) -> None:
        """Wait for a block that is on its way, if it is."""
        event = self._under_way.get(number)
        if event is not None:
            await event.wait()

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                for portion in self._portions():
                    await self._slots.acquire()
                    self._under_way |= dict.fromkeys((number for number, _ in portion), trio.Event())
                    nursery.start_soon(self._fetch, portion)
                    if self._wake.is_set():
                        break

    def _portions(self) -> Iterator[list[tuple[int, Key]]]:
        """What is missing above the block that is being read, as numbers with the keys to ask for them."""
        heads, index = self._heads.heads, self._heads.index
        if self._reading is None or heads is None:
            return
        head = heads.unsafe.number
        near = self._reading + self._depth // 2
        portion: list[tuple[int, Key]] = []
        ahead = 0
        for number in range(self._reading + 1, min(self._reading + self._depth, head) + 1):
            if ahead > self._most_bytes:
                break
            known = index.at(number)
            ahead += (known is not None and self._fetching.blocks.size(known.hash)) or self._expected_size
            if number in self._under_way or not self._lacks(number):
                continue
            if known is None and number > head - LINK_WINDOW:
                break  # linked to the head first, when it is asked for
            portion.append((number, number if known is None else known.hash))
            if len(portion) == PORTION:
                yield portion
                portion = []
        # A few blocks at the far end wait for more, so that requests are worth their while.
        if portion and (len(portion) == PORTION or portion[-1][0] == head or portion[0][0] <= near):
            yield portion

    def _lacks(self, number: int) -> bool:
        """Whether there is something to fetch of a block."""
        known = self._heads.index.at(number)
        block = None if known is None else self._fetching.blocks.get(known.hash)
        if block is None:
            return True
        return self._needs_receipts(block.header) and block.hash not in self._fetching.receipts

    async def _fetch(self, portion: list[tuple[int, Key]]) -> None:
        fetching, index = self._fetching, self._heads.index
        try:
            found: list[L1Block] = []
            missing: list[Key] = []
            for _, key in portion:
                held = fetching.blocks.get(key) if isinstance(key, bytes) else None
                if held is None:
                    missing.append(key)
                else:
                    found.append(held)
            if missing:
                found += (await fetching.fetch_blocks(missing, exists=True)).values()
                self._expected_size = max(map(block_size, found), default=self._expected_size)
            wanted = [
                block for block in found if self._needs_receipts(block.header) and block.hash not in fetching.receipts
            ]
            if wanted:
                await fetching.fetch_receipts(wanted)
            for block in found:
                if index.at(block.header.number) is None and not index.contradicts(block.ref):
                    index.note_deep(block.ref)
        except TemporaryError:
            pass  # whoever asks for these blocks finds out, and is told why
        finally:
            self._slots.release()
            for number, _ in portion:
                self._under_way.pop(number).set()
