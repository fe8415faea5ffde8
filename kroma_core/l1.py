"""What a node knows of L1: verified blocks, their transactions and receipts, and the heads it sees."""

from __future__ import annotations

import enum

import attrs

from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Receipt
from kroma_core.types import Address, BlockId, Hash32, L1Number, L1Ref, Timestamp


class L1Label(enum.StrEnum):
    """Names of L1 heads, as the Ethereum JSON-RPC spells them."""

    UNSAFE = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"


@attrs.frozen(kw_only=True)
class L1Heads:
    """The L1 heads at one moment; `safe` and `finalized` are ancestors of `unsafe`."""

    unsafe: L1Ref
    safe: L1Ref | None = None
    finalized: L1Ref | None = None


@attrs.frozen(kw_only=True)
class L1Block:
    """An L1 block whose header hashes to `hash` and whose transactions hash to the header's root.

    `transactions` are the consensus encodings (blob transactions without their sidecar).
    """

    hash: bytes
    header: Header
    transactions: tuple[bytes, ...] = attrs.field(repr=False)

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.header.number)

    @property
    def ref(self) -> L1Ref:
        return L1Ref(
            hash=self.hash,
            number=L1Number(self.header.number),
            parent_hash=self.header.parent_hash,
            timestamp=Timestamp(self.header.timestamp),
        )


L1Receipts = tuple[Receipt, ...]
"""Receipts of all transactions of one L1 block, in order; verified against the header's receipts root."""


@attrs.frozen(kw_only=True)
class InboxTransaction:
    """An L1 transaction to the batch inbox, signed by the batcher: what a data source reads.

    `index` is its place in the L1 block. `type` is 0 for a legacy transaction, 3 for one with blobs. `data` is its call
    data. `blob_hashes` are the versioned hashes of its blobs, in order; empty but for type 3.
    """

    index: int
    hash: Hash32
    type: int
    sender: Address
    data: bytes = attrs.field(repr=False)
    blob_hashes: tuple[Hash32, ...] = ()
