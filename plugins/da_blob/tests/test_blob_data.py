"""Which blobs are asked for, of whom, and what becomes of bad ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from kroma_da_blob.blob_data import BlobData
from kroma_da_blob.codec import BLOB_SIZE, decode, encode

from kroma_core.api import BlobSource, Missing
from kroma_core.errors import ResetError, TemporaryError
from kroma_core.l1 import InboxTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))
FIRST, SECOND, THIRD = (b"\1" + bytes((index,)) * 31 for index in range(3))


class Shelf:
    """Blobs under made-up names, and what was asked for."""

    def __init__(self, **blobs: bytes) -> None:
        self.content = {name: blobs[key] for key, name in (("a", FIRST), ("b", SECOND), ("c", THIRD)) if key in blobs}
        self.asked: list[tuple[Hash32, ...]] = []

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        self.asked.append(tuple(versioned_hashes))
        missing = tuple(one for one in versioned_hashes if one not in self.content)
        return Missing(versioned_hashes=missing) if missing else tuple(self.content[one] for one in versioned_hashes)


def transaction(*hashes: Hash32) -> InboxTransaction:
    return InboxTransaction(index=0, hash=bytes(32), type=3, sender=bytes(20), data=b"\0ignored", blob_hashes=hashes)


def read(sources: Sequence[BlobSource], *txs: InboxTransaction, check: bool = False) -> list[tuple[bytes, ...]]:
    async def main() -> list[tuple[bytes, ...]]:
        return list(await BlobData(sources, check_commitments=check).read(BLOCK, txs))

    return trio.run(main)


def test_data_follows_the_order_of_the_hashes_and_call_data_counts_for_nothing() -> None:
    shelf = Shelf(a=encode(b"one"), b=encode(b"two"))
    assert read([shelf], transaction(SECOND, FIRST), transaction(FIRST)) == [(b"two", b"one"), (b"one",)]


def test_each_blob_is_asked_for_once_a_block() -> None:
    shelf = Shelf(a=encode(b"one"), b=encode(b"two"))
    read([shelf], transaction(FIRST, SECOND, FIRST), transaction(SECOND))
    assert shelf.asked == [(FIRST, SECOND)]


def test_without_blobs_no_source_is_asked() -> None:
    shelf = Shelf()
    assert read([shelf], transaction()) == [()]
    assert shelf.asked == []


def test_a_blob_that_does_not_decode_contributes_nothing() -> None:
    shelf = Shelf(a=b"\0\xff".ljust(BLOB_SIZE, b"\0"), b=encode(b"two"))
    assert read([shelf], transaction(FIRST, SECOND)) == [(b"two",)]


def test_the_second_source_is_asked_only_for_what_the_first_lacks() -> None:
    near, far = Shelf(a=encode(b"one")), Shelf(a=b"", b=encode(b"two"))
    assert read([near, far], transaction(FIRST, SECOND)) == [(b"one", b"two")]
    assert far.asked == [(SECOND,)]


def test_a_blob_that_nobody_has_names_block_and_blob() -> None:
    with pytest.raises(ResetError, match=rf"0x{SECOND.hex()} of L1 block 7 \(0x07.*none has it"):
        read([Shelf(a=encode(b"one")), Shelf()], transaction(FIRST, SECOND))


def test_a_source_that_says_it_lacks_what_was_not_asked_for_has_nothing() -> None:
    class Confused(Shelf):
        async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
            self.asked.append(tuple(versioned_hashes))
            return Missing(versioned_hashes=(THIRD,))

    confused, far = Confused(), Shelf(a=encode(b"one"), b=encode(b"two"))
    assert read([confused, far], transaction(FIRST, SECOND)) == [(b"one", b"two")]
    assert confused.asked == [(FIRST, SECOND)]


def test_a_source_that_gives_too_few_blobs_is_not_believed() -> None:
    class Short(Shelf):
        async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
            return ()

    with pytest.raises(TemporaryError, match="expected 1 blobs of L1 block 7"):
        read([Short()], transaction(FIRST))


def test_commitments_are_checked_where_that_is_asked_for() -> None:
    l1 = ScriptedL1()
    good = l1.add_blob(encode(b"true"))

    class Liar(ScriptedL1):
        async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
            return (encode(b"false"),)

    assert read([l1], transaction(good), check=True) == [(b"true",)]
    with pytest.raises(TemporaryError, match="its commitment hashes to"):
        read([Liar()], transaction(good), check=True)


def test_frames_are_packed_in_order_as_many_as_fit() -> None:
    frames = [bytes((index,)) * 50_000 for index in range(5)]
    blobs = BlobData(()).encode(frames)
    assert len(blobs) == 3
    assert b"".join(decode(blob)[1:] for blob in blobs) == b"".join(frames)
    assert all(decode(blob)[:1] == b"\0" for blob in blobs)
