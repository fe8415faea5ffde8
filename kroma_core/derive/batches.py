"""Batches: the sequencer's account of L2 blocks, as read from a channel.

Spec: derivation.md, "Batch Format"; delta/span-batches.md.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from kroma_core.types import Hash32, L1Number, Timestamp


@attrs.frozen(kw_only=True)
class SingularBatch:
    """One L2 block: its parent, its epoch, its time and the sequencer's transactions (raw)."""

    parent_hash: Hash32
    epoch_number: L1Number
    epoch_hash: Hash32
    timestamp: Timestamp
    transactions: tuple[bytes, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SpanBlock:
    """One L2 block of a span batch."""

    timestamp: Timestamp
    epoch_number: L1Number
    transactions: tuple[bytes, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SpanBatch:
    """Consecutive L2 blocks. `parent_check` and `origin_check` are the first 20 bytes of the hashes of the first
    block's parent and of the last block's L1 origin."""

    parent_check: bytes
    origin_check: bytes
    blocks: tuple[SpanBlock, ...] = attrs.field(repr=False)


Batch: TypeAlias = SingularBatch | SpanBatch
