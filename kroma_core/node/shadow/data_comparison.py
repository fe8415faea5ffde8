"""What two data sources read out of the same transactions, and two blob sources give for the same hashes, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kroma_core.codec.kzg import check_blob
from kroma_core.errors import DecodeError
from kroma_core.l1 import InboxTransaction
from kroma_core.node.shadow.sequences import bytes_differences
from kroma_core.recording.compare import Difference
from kroma_core.types import Hash32

Inputs = Sequence[tuple[bytes, ...]]
"""What a data source has read: for each transaction, the inputs in it."""


def input_differences(txs: Sequence[InboxTransaction], leader: Inputs, follower: Inputs) -> Iterator[Difference]:
    """For each transaction: how many inputs it gave, and where one differs."""
    if len(leader) != len(follower):
        yield Difference(field="transactions (count)", expected=str(len(leader)), got=str(len(follower)))
    for tx, one, other in zip(txs, leader, follower, strict=False):
        if tuple(one) == tuple(other):
            continue
        name = f"transaction 0x{tx.hash.hex()}"
        if len(one) != len(other):
            yield Difference(field=f"{name}, inputs (count)", expected=str(len(one)), got=str(len(other)))
        for place, (ours, theirs) in enumerate(zip(one, other, strict=False)):
            yield from bytes_differences(f"{name}, input {place}", ours, theirs)


def claim_differences(
    txs: Sequence[InboxTransaction], leader: Sequence[bool], follower: Sequence[bool]
) -> Iterator[Difference]:
    """For each transaction: whether both sources say that it is theirs to read."""
    for tx, one, other in zip(txs, leader, follower, strict=True):
        if one != other:
            yield Difference(field=f"transaction 0x{tx.hash.hex()}, claimed", expected=str(one), got=str(other))


def blob_differences(
    versioned_hashes: Sequence[Hash32], leader: Sequence[bytes], follower: Sequence[bytes]
) -> Iterator[Difference]:
    """For each blob that was asked for: its size, and the first byte that differs."""
    if len(leader) != len(follower):
        yield Difference(field="blobs (count)", expected=str(len(leader)), got=str(len(follower)))
    for name, one, other in zip(versioned_hashes, leader, follower, strict=False):
        yield from bytes_differences(f"blob 0x{name.hex()}", one, other)


def blob_contradictions(versioned_hashes: Sequence[Hash32], blobs: Sequence[bytes]) -> Iterator[str]:
    """Which blobs of an answer are not those that were asked for. Computes each commitment: 66 ms a blob."""
    if len(blobs) != len(versioned_hashes):
        yield f"{len(blobs)} blobs for {len(versioned_hashes)} hashes"
    for name, blob in zip(versioned_hashes, blobs, strict=False):
        try:
            check_blob(blob, name)
        except DecodeError as error:
            yield f"blob 0x{name.hex()}: {error}"
