"""The blocks of a span batch as singular batches, which is how they are built.

Spec: delta/span-batches.md, "How Derivation works with Span Batches"; holocene/derivation.md, "Span Batches".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from kroma_core.derive.batches import SingularBatch, SpanBatch
from kroma_core.types import ZERO_HASH, L1Ref, L2Ref


class SpanMismatch(enum.StrEnum):
    """Why the blocks of a span batch cannot follow the safe chain. The whole batch is dropped."""

    EPOCH_TOO_OLD = "a block's epoch is before that of the safe head"
    EPOCH_UNKNOWN = "a block's epoch is not among the L1 blocks that are known"


def singular_batches(
    span: SpanBatch, l1_blocks: Sequence[L1Ref], safe_head: L2Ref
) -> list[SingularBatch] | SpanMismatch:
    """The blocks after `safe_head`. Their parent hash is zero: it is known only when the block before is built.

    `l1_blocks` are in ascending order; epochs that go back are not found.
    """
    batches: list[SingularBatch] = []
    add = batches.append
    place = 0
    for block in span.blocks:
        if block.timestamp <= safe_head.timestamp:
            continue
        epoch = block.epoch_number
        if epoch < safe_head.l1_origin.number:
            return SpanMismatch.EPOCH_TOO_OLD
        while place < len(l1_blocks) and l1_blocks[place].number < epoch:
            place += 1
        if place == len(l1_blocks) or l1_blocks[place].number != epoch:
            return SpanMismatch.EPOCH_UNKNOWN
        add(
            SingularBatch(
                parent_hash=ZERO_HASH,
                epoch_number=epoch,
                epoch_hash=l1_blocks[place].hash,
                timestamp=block.timestamp,
                transactions=block.transactions,
            )
        )
    return batches
