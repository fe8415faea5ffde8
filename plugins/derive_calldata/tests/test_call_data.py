"""Batcher data in call data."""

from __future__ import annotations

import pytest
import trio
from kroma_derive_calldata.call_data import MAX_CALL_DATA, CallData

from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Number, L1Ref, Timestamp

BLOCK = L1Ref(hash=b"\7" * 32, number=L1Number(7), parent_hash=b"\6" * 32, timestamp=Timestamp(0))


def transaction(kind: int, data: bytes = b"") -> InboxTransaction:
    return InboxTransaction(index=0, hash=bytes(32), type=kind, sender=bytes(20), data=data)


@pytest.mark.parametrize("kind", [0, 1, 2, 0x7E])
@pytest.mark.parametrize("blobs", [False, True])
def test_transactions_without_blobs_are_read_always(kind: int, blobs: bool) -> None:
    assert CallData().claims(transaction(kind), Rules(blobs=blobs))


def test_blob_transactions_are_read_until_blobs_carry_data() -> None:
    assert CallData().claims(transaction(3), Rules(blobs=False))
    assert not CallData().claims(transaction(3), Rules(blobs=True))


def test_call_data_is_the_one_input_whatever_it_is() -> None:
    contents = [b"", b"\0frames", b"\1commitment", b"\xff"]
    found = trio.run(CallData().read, BLOCK, [transaction(2, data) for data in contents])
    assert found == [(data,) for data in contents]


def test_frames_are_packed_in_order_as_many_as_fit() -> None:
    frames = [bytes((index,)) * 50_000 for index in range(5)]
    contents = CallData().encode(frames)
    assert [len(content) for content in contents] == [100_001, 100_001, 50_001]
    assert max(map(len, contents)) <= MAX_CALL_DATA
    assert b"".join(content[1:] for content in contents) == b"".join(frames)
    assert all(content[:1] == b"\0" for content in contents)
    assert list(CallData().encode([])) == []
