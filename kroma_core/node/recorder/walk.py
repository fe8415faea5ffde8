"""The L1 as it is shown to a node that records it: each block is on the tape before the node can see it.

A live source jumps: its head may be thousands of blocks ahead when the node starts. Here the head moves a block at a
time, so that the timeline has a step for each, and a replay goes exactly the way that the node went.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import attrs
import trio

from kroma_core.api import L1Source
from kroma_core.errors import CriticalError, NotFound, TemporaryError
from kroma_core.events import Asked
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.node.recorder.tape import Tape
from kroma_core.node.retry import Retrier, tried_again
from kroma_core.types import BlockId, Hash32, L1Number, L1Ref

KEPT: Final = 16
"""Blocks that are remembered for the node, which reads them right after they were recorded."""
T = TypeVar("T")


@attrs.define(kw_only=True)
class RecordedWalk:
    """An L1 source over another one, from the rollup's first L1 block `first` on."""

    source: L1Source
    tape: Tape
    first: BlockId
    retry: Retrier
    _branch: list[Hash32] = attrs.field(factory=list)
    """Hashes of the branch that is shown, from `first` on."""
    _heads: L1Heads | None = None
    _recent: OrderedDict[Hash32, tuple[L1Block, L1Receipts]] = attrs.field(factory=OrderedDict)

    # --- role: L1 source

    async def head(self, label: L1Label) -> L1Ref:
        heads = self._heads
        found: L1Ref | None = None
        if heads is not None:
            found = {L1Label.UNSAFE: heads.unsafe, L1Label.SAFE: heads.safe, L1Label.FINALIZED: heads.finalized}[label]
        if found is None:
            raise NotFound(f"the L1 that is recorded has no {label} head yet")
        return found

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        if isinstance(block, bytes):
            recent = self._recent.get(block)
            return recent[0].ref if recent is not None else await self.source.ref(block)
        place = block - self.first.number
        if not 0 <= place < len(self._branch):
            raise NotFound(f"the L1 that is recorded has no block {block} yet")
        return await self.ref(self._branch[place])

    async def block(self, block_hash: Hash32) -> L1Block:
        recent = self._recent.get(block_hash)
        return recent[0] if recent is not None else await self.source.block(block_hash)

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        recent = self._recent.get(block_hash)
        return recent[1] if recent is not None else await self.source.receipts(block_hash)

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        """Heads a block apart on the way to each that the source shows; ends where the source ends."""
        async for newest in self._shown():
            while True:
                try:
                    heads = await self._next(newest)
                except NotFound:
                    break  # the source has changed its mind on the way: its next heads will tell
                if heads is None or heads == self._heads:
                    break
                self._heads = heads
                yield heads

    # --- the walk

    async def _shown(self) -> AsyncIterator[L1Heads]:
        """The heads of the source, which is subscribed to again where it fails."""
        attempt = 1
        while True:
            try:
                async for newest in self.source.subscribe():
                    attempt = 1
                    yield newest
                return
            except TemporaryError as error:
                if self.retry.policy.is_last(attempt):
                    raise
                delay = self.retry.policy.delay(attempt)
                what = "follow the L1 that is recorded"
                self.retry.emit(
                    tried_again(
                        error, part=self.retry.part, what=what, attempt=attempt, delay=delay, asked=Asked.L1_HEADS
                    )
                )
            await trio.sleep(delay)
            attempt += 1

    async def _next(self, newest: L1Heads) -> L1Heads | None:
        """The heads after the current ones, towards `newest`; the current ones again where that is reached.

        None where the source contradicts itself on the way, or is not as far as the rollup yet.
        """
        if newest.unsafe.number < self.first.number:
            return None
        if not self._branch:
            ref = await self._asked(lambda: self.source.ref(L1Number(self.first.number)), self.first.number)
            if ref.hash != self.first.hash:
                raise CriticalError(
                    f"record from L1 block {self.first}, where the rollup begins: the L1 source has {ref.id} there"
                )
            await self._take([ref])
            return self._heads_at(ref, newest)
        way = await self._way(newest)
        if way is None:
            return None
        if way:
            await self._take(way)
        tip = way[-1] if way else await self.ref(self._branch[-1])
        return self._heads_at(tip, newest)

    async def _way(self, newest: L1Heads) -> list[L1Ref] | None:
        """The blocks to show next, from the one above the branch point on; None where they do not link.

        On the same branch one block; on another one, all up to just above the height that was shown. What lies on the
        branch above the branch point is given up.
        """
        top = self.first.number + len(self._branch) - 1
        if newest.unsafe.number > top:
            ref = await self._numbered(top + 1)
            if ref.parent_hash == self._branch[-1]:
                return [ref]
        way: list[L1Ref] = []
        number = min(top + 1, newest.unsafe.number)
        while True:
            ref = await self._numbered(number)
            if number <= top and ref.hash == self._branch[number - self.first.number]:
                break
            way.append(ref)
            number -= 1
            if number < self.first.number:
                raise CriticalError(f"L1 reorg below block {self.first}, where the rollup begins")
        way.reverse()
        parent = self._branch[number - self.first.number]
        for ref in way:
            if ref.parent_hash != parent:
                return None
            parent = ref.hash
        del self._branch[number - self.first.number + 1 :]
        return way

    async def _take(self, way: list[L1Ref]) -> None:
        """Record blocks and show them."""
        for ref in way:
            block = await self._asked(lambda ref=ref: self.source.block(ref.hash), ref.number)  # type: ignore[misc]  # a default has no type
            receipts = await self._asked(lambda ref=ref: self.source.receipts(ref.hash), ref.number)  # type: ignore[misc]  # a default has no type
            await self.tape.add_block(block, receipts)
            self._recent[ref.hash] = block, receipts
            if len(self._recent) > KEPT:
                self._recent.popitem(last=False)
            self._branch.append(ref.hash)

    def _heads_at(self, tip: L1Ref, newest: L1Heads) -> L1Heads:
        """What the source says of `tip`: what is safe above it is safe up to it."""
        return L1Heads(unsafe=tip, safe=self._at_most(newest.safe, tip), finalized=self._at_most(newest.finalized, tip))

    def _at_most(self, found: L1Ref | None, tip: L1Ref) -> L1Ref | None:
        if found is None or found.number < self.first.number:
            return None
        if found.number >= tip.number:
            return tip
        return found if self._branch[found.number - self.first.number] == found.hash else None

    async def _numbered(self, number: int) -> L1Ref:
        return await self._asked(lambda: self.source.ref(L1Number(number)), number)

    async def _asked(self, call: Callable[[], Awaitable[T]], number: int) -> T:
        return await self.retry(call, f"record L1 block {number}", Asked.L1)
