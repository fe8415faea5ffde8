"""What a recording holds, as values: stored L1 blocks and blobs, the timeline, and the chain derived from them.

Stored values are as they stand in the file and not yet checked; `verified` turns them into L1 blocks one can trust.
"""

from __future__ import annotations

import attrs

from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import BlockId, Hash32, L2Number, L2Ref


@attrs.frozen(kw_only=True)
class About:
    """Where a recording comes from, in its maker's words."""

    name: str = ""
    summary: str = ""
    made_by: str = ""


@attrs.frozen(kw_only=True)
class StoredLink:
    """An L1 block's place in the tree of branches, as the file's index has it."""

    hash: Hash32
    number: int
    parent_hash: Hash32

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.number)


@attrs.frozen(kw_only=True)
class StoredBlob:
    """A blob (131 072 bytes); with its KZG commitment and proof where the format stores them."""

    versioned_hash: Hash32
    data: bytes = attrs.field(repr=False)
    commitment: bytes | None = None
    proof: bytes | None = None


@attrs.frozen(kw_only=True)
class TimelineStep:
    """The L1 heads a node saw at one moment, by hash; `safe` and `finalized` only where they were recorded."""

    unsafe: Hash32
    safe: Hash32 | None = None
    finalized: Hash32 | None = None


@attrs.frozen(kw_only=True)
class ExpectedBlock:
    """A block of the final safe chain, as the reference client derived and executed it.

    `receipts` are the encodings that enter the receipts root. `derived_from` is the L1 block that was being read when
    the attributes were made, `batch` is singular, span, empty or deposits-only. The last three fields are None where
    the recording lacks them: gas of each transaction, the header's RLP, and the receipts in their network form (which
    holds a deposit's nonce where the root's form does not).
    """

    number: L2Number
    hash: Hash32
    attributes: PayloadAttributes
    payload: Payload
    receipts: tuple[bytes, ...] = attrs.field(repr=False)
    batch: str
    derived_from: BlockId
    l1_origin: BlockId
    sequence_number: int
    gas_used: tuple[int, ...] | None = attrs.field(default=None, repr=False)
    header: bytes | None = attrs.field(default=None, repr=False)
    network_receipts: tuple[bytes, ...] | None = attrs.field(default=None, repr=False)

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.number)

    @property
    def ref(self) -> L2Ref:
        return L2Ref(
            hash=self.hash,
            number=self.number,
            parent_hash=self.payload.parent_hash,
            timestamp=self.payload.timestamp,
            l1_origin=self.l1_origin,
            sequence_number=self.sequence_number,
        )


@attrs.frozen(kw_only=True)
class SafeAfter:
    """The safe head after one timeline step, once nothing more could be derived.

    `derived_l1` is the last L1 block that derivation had taken up. Where it is not `l1_head`, the reference had not
    yet noticed a reorg, and a node that reacts sooner may have another safe head. None where it was not recorded.
    """

    l1_head: Hash32
    safe_l2: BlockId
    derived_l1: BlockId | None

    @property
    def behind(self) -> bool:
        """Whether the reference still stood on another branch than the head's."""
        return self.derived_l1 is not None and self.derived_l1.hash != self.l1_head


@attrs.frozen(kw_only=True)
class ExpectedOutput:
    """The answer of `optimism_outputAtBlock`. `next_block` is all zero where the output does not need it."""

    number: L2Number
    version: Hash32
    output_root: Hash32
    state_root: Hash32
    withdrawal_storage_root: Hash32
    block: L2Ref
    next_block: L2Ref | None
