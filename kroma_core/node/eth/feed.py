"""What happens to the chain and the pool, told to those who wait for it: filters and subscribers.

The engine is asked for its head and for new transactions at short intervals, and at once when `nudge` is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from kroma_core.errors import NotFound, TemporaryError
from kroma_core.node.eth.blocks import Blocks, KnownBlock
from kroma_core.node.eth.logs import LogFilter, logs_of
from kroma_core.node.eth.shapes import JsonObject
from kroma_core.types import Hash32, L2Number

MOST_BLOCKS: Final = 1024
"""Blocks that are told of at one time: a chain that moved further tells its newest ones."""


@attrs.frozen(kw_only=True)
class HeadChange:
    """How the chain got from one head to another: what it lost, newest first, and what it gained, oldest first."""

    removed: tuple[KnownBlock, ...]
    added: tuple[KnownBlock, ...]


@attrs.frozen(kw_only=True, eq=False)
class Listener:
    """Someone who waits for one thing. What is called must not block."""

    on_block: Callable[[KnownBlock], None] | None = None
    """A block that was added."""
    logs: LogFilter | None = None
    on_log: Callable[[JsonObject], None] | None = None
    """A log of the filter, added or removed."""
    on_transaction: Callable[[Hash32], None] | None = None
    """A transaction of the pool that can be executed."""


class ChainFeed:
    """Tells listeners. Costs next to nothing while there are none."""

    def __init__(self, blocks: Blocks, period: float) -> None:
        self._blocks = blocks
        self._period = period
        self._listeners: dict[Listener, None] = {}
        self._head: Hash32 | None = None
        self._arrived = 0
        self._nudged = trio.Event()
        self._looking = trio.Lock()

    def add(self, listener: Listener) -> None:
        self._listeners[listener] = None

    def remove(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    def nudge(self) -> None:
        """Something has happened: look now."""
        self._nudged.set()

    async def run(self) -> None:
        """Look on until cancelled."""
        await self.look()
        while True:
            with trio.move_on_after(self._period):
                await self._nudged.wait()
            self._nudged = trio.Event()
            await self.look()

    async def look(self) -> None:
        """Tell of everything since the last time. A part that does not answer now is asked again later.

        Returns when all of it has been told, also by somebody else who is looking.
        """
        async with self._looking:
            try:
                await self._look_at_head()
                await self._look_at_pool()
            except (TemporaryError, NotFound):
                pass

    async def _look_at_head(self) -> None:
        heads = await self._blocks.engine.heads()
        before, self._head = self._head, heads.unsafe
        if before is None or before == heads.unsafe or not self._listeners:
            return
        change = await self._change(before, heads.unsafe)
        for listener in list(self._listeners):
            if listener.on_block is not None:
                for block in change.added:
                    listener.on_block(block)
            if listener.logs is not None and listener.on_log is not None:
                for removed, blocks in ((True, change.removed), (False, change.added)):
                    for block in blocks:
                        for log in await logs_of(self._blocks, block, listener.logs, removed=removed):
                            listener.on_log(log)

    async def _change(self, before: Hash32, after: Hash32) -> HeadChange:
        queries = self._blocks.queries
        removed: list[KnownBlock] = []
        block_hash = before
        header = await queries.header(block_hash)
        while await queries.canonical(L2Number(header.number)) != block_hash and len(removed) < MOST_BLOCKS:
            block = await self._blocks.block(block_hash)
            if block is not None:
                removed.append(block)
            block_hash = header.parent_hash
            header = await queries.header(block_hash)
        newest = (await queries.header(after)).number
        first = max(header.number + 1, newest + 1 - MOST_BLOCKS)
        added: list[KnownBlock] = []
        for one_hash, _ in await queries.headers(L2Number(first), max(newest + 1 - first, 0)):
            await trio.lowlevel.checkpoint()
            block = await self._blocks.block(one_hash)
            if block is not None:
                added.append(block)
        return HeadChange(removed=tuple(removed), added=tuple(added))

    async def _look_at_pool(self) -> None:
        pool = self._blocks.pool
        if pool is None:
            return
        arrivals = await pool.pool_arrivals(self._arrived)
        self._arrived = arrivals.last
        for listener in list(self._listeners):
            if listener.on_transaction is not None:
                for transaction_hash in arrivals.hashes:
                    listener.on_transaction(transaction_hash)
