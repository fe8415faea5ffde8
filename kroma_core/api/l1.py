"""Role `l1`: where L1 blocks come from.

Every answer is verified against hashes by the source itself (`kroma_core.codec` has what it takes): a caller may trust
an `L1Block` as far as it trusts the hash that it asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.types import Hash32, L1Number, L1Ref


class L1Source(Protocol):
    """Verified L1 blocks by hash, canonical references by number, and the heads as they move.

    Errors of every method: `NotFound` when the source answers that it has no such block; `TemporaryError` when it does
    not answer, or answers with less than was asked; `CriticalError` when its own store is damaged. Cancellation between
    any two calls leaves the source usable.
    """

    async def head(self, label: L1Label) -> L1Ref:
        """The block that `label` points to now."""
        ...

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        """A block by hash, or the canonical block at a number (on the chain of the current unsafe head)."""
        ...

    async def block(self, block_hash: Hash32) -> L1Block:
        """Header and transactions; the header hashes to `block_hash`, the transactions to the header's root."""
        ...

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        """All receipts of the block; they hash to the header's receipts root."""
        ...

    def subscribe(self) -> AsyncIterator[L1Heads]:
        """The heads, each time they change, the current ones first.

        A consumer that falls behind sees the newest heads only, except from a source with a recorded timeline: that one
        moves its head when the consumer asks for the next, and ends after the last.
        """
        ...
