"""The leading L1 source of a node, with others in its shadow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import attrs

from kroma_core.api import L1Source
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.node.shadow.l1_branch import compares_l1
from kroma_core.node.shadow.l1_exchange import BlockExchange, CanonicalExchange, L1Exchange, ReceiptsExchange
from kroma_core.node.shadow.leading import Leading
from kroma_core.node.shadow.source_follower import follows_live, source_follower
from kroma_core.types import BlockId, Hash32, L1Number, L1Ref

REMEMBERED: Final = 256
"""Blocks that were read last: one that is read again is not compared again, and receipts come after their block."""


@attrs.define
class ShadowedL1:
    """Hands on what the leader answers, at once, and offers it for comparison. Errors are the leader's own.

    Heads are not compared: two nodes never see them move at the same moment.
    """

    _leader: L1Source
    _offer: Callable[[L1Exchange], None]
    _headers: OrderedDict[Hash32, tuple[BlockId, Hash32]] = attrs.field(factory=OrderedDict, init=False)
    """Of the blocks that were read last: number and root of the receipts."""
    _with_receipts: OrderedDict[Hash32, None] = attrs.field(factory=OrderedDict, init=False)

    async def head(self, label: L1Label) -> L1Ref:
        return await self._leader.head(label)

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        found = await self._leader.ref(block)
        if not isinstance(block, bytes):
            self._offer(CanonicalExchange(found.id))
        return found

    async def block(self, block_hash: Hash32) -> L1Block:
        found = await self._leader.block(block_hash)
        if block_hash not in self._headers:
            _note(self._headers, block_hash, (found.id, found.header.receipts_root))
            self._offer(BlockExchange(block_hash, found))
        return found

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        found = await self._leader.receipts(block_hash)
        known = self._headers.get(block_hash)
        if known is not None and block_hash not in self._with_receipts:
            _note(self._with_receipts, block_hash, None)
            self._offer(ReceiptsExchange(block=known[0], root=known[1], answer=found))
        return found

    def subscribe(self) -> AsyncIterator[L1Heads]:
        return self._leader.subscribe()

    def __getattr__(self, name: str) -> Any:
        """What the leader can do beyond its role."""
        return getattr(self._leader, name)


def _note(kept: OrderedDict[Hash32, Any], block_hash: Hash32, value: Any) -> None:
    kept[block_hash] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def shadow_l1(leading: Leading) -> L1Source:
    """The stand-in of a leading L1 source with shadows."""
    followers = [(follows_live(part), source_follower(leading, part, compares_l1)) for part in leading.part.shadows]

    def offer(step: L1Exchange) -> None:
        for live, follower in followers:
            if live or not isinstance(step, CanonicalExchange):
                follower.offer(step)

    return ShadowedL1(leading.open_part, offer)
