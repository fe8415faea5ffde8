"""The content of a singular batch: `rlp([parent_hash, epoch_number, epoch_hash, timestamp, transactions])`.

Bytes behind the list are ignored. Spec: derivation.md, "Batch Format".
"""

from __future__ import annotations

from kroma_core.codec.fields import as_bytes, as_fixed, as_list, as_u64, expect_count
from kroma_core.codec.rlp import decode_list, encode, list_span
from kroma_core.derive.batches import SingularBatch
from kroma_core.types import L1Number, Timestamp


def decode_singular_content(content: bytes) -> SingularBatch:
    """The batch in what follows the type byte. Raises `DecodeError`."""
    fields = decode_list(content[: list_span(content)[1]])
    expect_count(fields, 5, "singular batch")
    return SingularBatch(
        parent_hash=as_fixed(fields[0], 32, "parent_hash"),
        epoch_number=L1Number(as_u64(fields[1], "epoch_number")),
        epoch_hash=as_fixed(fields[2], 32, "epoch_hash"),
        timestamp=Timestamp(as_u64(fields[3], "timestamp")),
        transactions=tuple([as_bytes(item, "transaction") for item in as_list(fields[4], "transactions")]),
    )


def encode_singular_content(batch: SingularBatch) -> bytes:
    """What follows the type byte."""
    return encode([batch.parent_hash, batch.epoch_number, batch.epoch_hash, batch.timestamp, batch.transactions])
