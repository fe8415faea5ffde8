"""A recorded L1 without its reorgs: for engines that know the blocks of the final chain only.

The heads on branches that were abandoned later are left out; everything else is the source's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container

import attrs

from kroma_core.api import L1Source
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.recording import Recording, VerifiedReader
from kroma_core.types import BlockId, Hash32, L1Number, L1Ref


def abandoned_steps(recording: Recording) -> dict[int, BlockId]:
    """The steps of a timeline whose head is not an ancestor of the last step's (nor that head itself), with that head.

    Raises `RecordingError` where a head is not in the recording.
    """
    if not recording.step_count:
        return {}
    reader = VerifiedReader(recording)
    last = reader.heads(recording.step_count - 1).unsafe
    abandoned: dict[int, BlockId] = {}
    for step in range(recording.step_count):
        head = reader.heads(step).unsafe
        if head.number > last.number or reader.canonical(last.hash, head.number) != head:
            abandoned[step] = head.id
    return abandoned


@attrs.frozen(kw_only=True)
class FinalBranch:
    """An L1 source that skips some of another one's heads, counted from 0."""

    source: L1Source
    skipped: Container[int]

    async def head(self, label: L1Label) -> L1Ref:
        return await self.source.head(label)

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        return await self.source.ref(block)

    async def block(self, block_hash: Hash32) -> L1Block:
        return await self.source.block(block_hash)

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        return await self.source.receipts(block_hash)

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        step = 0
        async for heads in self.source.subscribe():
            if step not in self.skipped:
                yield heads
            step += 1
