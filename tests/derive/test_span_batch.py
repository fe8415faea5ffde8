"""Span batches: what is written is read again, and what is wrong ends the channel or voids the batch alone."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec.rlp import encode
from kroma_core.derive.batch_codec import BatchProblem, decode_batch, encode_singular_batch
from kroma_core.derive.batches import SingularBatch, SpanBatch
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import UnusableBatch
from kroma_core.derive.span_columns import MalformedSpan, SpanProblem, read_encoded_uvarints, read_uvarint
from kroma_core.derive.span_encoder import encode_span_batch, encode_uvarint, span_of
from kroma_core.derive.span_to_singular import SpanMismatch, singular_batches
from kroma_core.types import ZERO_HASH, BlockId, L1Number, L2Number, L2Ref, Timestamp
from tests.derive.batcher_data import TERMS, block, block_runs, origin, transactions

CHECKS = bytes(range(20)) + bytes(range(20, 40))


def span(*, blocks: bytes = b"\x01\x00", counts: bytes = b"\x01", rest: bytes = b"") -> bytes:
    """A span batch at genesis, epoch 5: block count and origin bits, transaction counts, and the columns behind."""
    return b"\x01\x00\x05" + CHECKS + blocks + counts + rest


def one_transaction(data: bytes, *, creation: bool = False, legacy_bits: bytes = b"") -> bytes:
    """The columns of one transaction with nonce 7 and gas limit 9."""
    receiver = b"" if creation else b"\x22" * 20
    return bytes((creation, 0)) + b"\x11" * 64 + receiver + data + b"\x07\x09" + legacy_bits


def decoded(data: bytes) -> object:
    return decode_batch(data, TERMS)


def problem_of(data: bytes) -> object:
    batch = decode_batch(data, TERMS)
    assert isinstance(batch, Malformed), batch
    return batch.reason


@given(block_runs(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_span_batch_comes_back_from_its_encoding(batches: list[SingularBatch], first_of_epoch: bool) -> None:
    written = span_of(batches)
    assert decoded(encode_span_batch(written, TERMS, first_of_epoch=first_of_epoch)) == written


@given(block_runs(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_span_batch_that_is_cut_ends_the_channel(batches: list[SingularBatch], data: st.DataObject) -> None:
    whole = encode_span_batch(span_of(batches), TERMS, first_of_epoch=False)
    assert isinstance(decoded(whole[: data.draw(st.integers(0, len(whole) - 1))]), Malformed)


@given(block_runs())
@settings(max_examples=30, deadline=None)
def test_bytes_behind_a_span_batch_are_ignored(batches: list[SingularBatch]) -> None:
    written = span_of(batches)
    assert decoded(encode_span_batch(written, TERMS, first_of_epoch=False) + b"trailing") == written


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_batch_or_none(data: bytes) -> None:
    for candidate in (data, b"\x00" + data, b"\x01" + data, span(rest=data)):
        decoded(candidate)


@given(st.lists(transactions(), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_a_singular_batch_comes_back_from_its_encoding(raw: list[bytes]) -> None:
    batch = block(3, raw)
    assert decoded(encode_singular_batch(batch)) == batch


def test_columns_are_read_as_the_spec_lays_them_out() -> None:
    data = encode([3, 4, b"call"])
    batch = decoded(span(rest=one_transaction(data, legacy_bits=b"\x01")))
    assert isinstance(batch, SpanBatch)
    assert batch.parent_check == CHECKS[:20]
    assert batch.origin_check == CHECKS[20:]
    (only,) = batch.blocks
    assert (only.timestamp, only.epoch_number) == (TERMS.genesis_time, 5)
    word = b"\x11" * 32
    assert only.transactions == (encode([7, 4, 9, b"\x22" * 20, 3, b"call", 35 + 2 * 901, word, word]),)


def test_origin_bits_count_back_from_the_last_epoch() -> None:
    batch = decoded(span(blocks=b"\x04\x06", counts=bytes(4)))
    assert isinstance(batch, SpanBatch)
    assert [found.epoch_number for found in batch.blocks] == [3, 4, 5, 5]
    assert [found.timestamp - TERMS.genesis_time for found in batch.blocks] == [0, 2, 4, 6]


def test_epochs_and_times_wrap_around() -> None:
    data = b"\x01" + encode_uvarint(2**64 - 1) + b"\x00" + CHECKS + b"\x02\x03" + bytes(2)
    batch = decoded(data)
    assert isinstance(batch, SpanBatch)
    assert [found.epoch_number for found in batch.blocks] == [2**64 - 1, 0]
    assert [found.timestamp for found in batch.blocks] == [TERMS.genesis_time - 1, TERMS.genesis_time + 1]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", BatchProblem.EMPTY),
        (b"\x02\xc0", BatchProblem.UNKNOWN_TYPE),
        (b"\x00\xc0", BatchProblem.SINGULAR_CONTENT),
        (span(blocks=b"\x00"), SpanProblem.NO_BLOCKS),
        (span(blocks=encode_uvarint(10_000_001)), SpanProblem.TOO_MANY),
        (span(blocks=encode_uvarint(10_000_000)), SpanProblem.CUT_SHORT),
        (span(blocks=b"\x01\x02"), SpanProblem.SPARE_BITS),
        (span(counts=encode_uvarint(10_000_001)), SpanProblem.TOO_MANY),
        (span(blocks=b"\x02\x00", counts=2 * encode_uvarint(5_000_001)), SpanProblem.TOO_MANY),
        (span(counts=encode_uvarint(10_000_000)), SpanProblem.CUT_SHORT),
        (span(counts=b"\xff" * 9 + b"\x02"), SpanProblem.NUMBER_TOO_LARGE),
        (span(rest=one_transaction(b"\x83abc")), SpanProblem.DATA_NOT_LIST),
        (span(rest=one_transaction(b"\xf8\x01\x80")), SpanProblem.DATA_HEADER),
        (span(rest=one_transaction(b"\x02\xfa\x98\x96\x7d")), SpanProblem.DATA_TOO_LONG),
        (span(rest=one_transaction(b"\x02\xfa\x98\x96\x7c")), SpanProblem.CUT_SHORT),
    ],
)
def test_what_is_wrong_with_the_columns_ends_the_channel(data: bytes, problem: object) -> None:
    assert problem_of(data) is problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x02" + encode([1, 2, 3, b"", []]), None),
        (b"\x01" + encode([1, 2, b"", [[b"a" * 20, [b"k" * 32]]]]), None),
        (b"\x7d" + encode([1]), None),
        (b"\x03" + encode([1, 2, 3, b"", []]), SpanProblem.UNKNOWN_TYPE),
        (b"\x05" + encode([]), SpanProblem.UNKNOWN_TYPE),
        (b"\x7e" + encode([]), SpanProblem.UNKNOWN_TYPE),
        (b"\x02" + encode([1, 2, 3, b""]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, 2, 3, b"", [], 4]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, b"\x00\x01", 3, b"", []]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, [], 3, b"", []]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, 2, 3, [], []]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, 2, 3, b"", b""]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, 2, 3, b"", [[b"a" * 19, []]]]), SpanProblem.DATA_FIELDS),
        (b"\x02" + encode([1, 2, 3, b"", [[b"a" * 20, [b"k" * 31]]]]), SpanProblem.DATA_FIELDS),
        (b"\x04" + encode([2**256, 2, 3, b"", [], []]), SpanProblem.DATA_FIELDS),
        (b"\x04" + encode([1, 2, 3, b"", [], [[1, b"a" * 20, 2**64, 0, 1, 1]]]), SpanProblem.DATA_FIELDS),
    ],
)
def test_what_is_wrong_with_a_transaction_voids_the_batch_alone(data: bytes, problem: SpanProblem | None) -> None:
    batch = decoded(span(rest=one_transaction(data)))
    if problem is None:
        assert isinstance(batch, SpanBatch)
        return
    assert isinstance(batch, UnusableBatch)
    assert batch.transaction is not None
    assert batch.transaction.problem is problem


def test_a_type_byte_of_zero_voids_the_batch_and_counts_as_legacy() -> None:
    data = one_transaction(b"\x00" + encode([1, 2, b""]))
    assert problem_of(span(rest=data)) is SpanProblem.CUT_SHORT
    assert isinstance(decoded(span(rest=data + b"\x00")), UnusableBatch)


def test_a_set_code_transaction_needs_a_receiver() -> None:
    data = b"\x04" + encode([1, 2, 3, b"", [], []])
    assert isinstance(decoded(span(rest=one_transaction(data))), SpanBatch)
    batch = decoded(span(rest=one_transaction(data, creation=True)))
    assert isinstance(batch, UnusableBatch)
    assert batch.transaction is not None
    assert batch.transaction.problem is SpanProblem.SET_CODE_CREATION


def test_broken_columns_behind_an_unwritable_transaction_still_end_the_channel() -> None:
    assert problem_of(span(rest=one_transaction(b"\x05\xc0")[:-1])) is SpanProblem.CUT_SHORT


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_numbers_come_back_from_their_column(numbers: list[int]) -> None:
    column = b"".join(map(encode_uvarint, numbers))
    found, end = read_encoded_uvarints(column + b"\xff", 0, len(numbers))
    assert found == [encode(number) for number in numbers]
    assert end == len(column)


@pytest.mark.parametrize("column", [b"\x80" * 10 + b"\x01", b"\xff" * 9 + b"\x02", b"\x05" + b"\xff" * 40])
def test_a_number_beyond_64_bits_ends_the_column(column: bytes) -> None:
    with pytest.raises(MalformedSpan):
        read_encoded_uvarints(column + bytes(40), 0, 2)


def test_a_number_may_be_longer_than_needed() -> None:
    assert read_uvarint(b"\x85\x80\x00", 0) == (5, 3)
    assert read_encoded_uvarints(b"\x85\x80\x00", 0, 1) == ([b"\x05"], 3)


def test_a_span_batch_cannot_leave_an_epoch_out() -> None:
    later = attrs.evolve(block(1), epoch_number=L1Number(103))
    with pytest.raises(ValueError, match="epochs"):
        encode_span_batch(span_of([block(0), later]), TERMS, first_of_epoch=True)


def safe_head(number: int, epoch: int) -> L2Ref:
    return L2Ref(
        hash=ZERO_HASH,
        number=L2Number(number),
        parent_hash=ZERO_HASH,
        timestamp=Timestamp(TERMS.genesis_time + 2 * number),
        l1_origin=BlockId(ZERO_HASH, epoch),
        sequence_number=0,
    )


def test_only_blocks_after_the_safe_head_become_singular_batches() -> None:
    batches = singular_batches(
        span_of([block(number) for number in range(4, 9)]), [origin(100), origin(101)], safe_head(5, 100)
    )
    assert isinstance(batches, list)
    assert [(batch.timestamp - TERMS.genesis_time) // 2 for batch in batches] == [6, 7, 8]
    assert {batch.epoch_hash for batch in batches} == {origin(101).hash}
    assert {batch.parent_hash for batch in batches} == {ZERO_HASH}


def test_a_span_batch_with_an_unknown_or_old_epoch_has_no_singular_batches() -> None:
    batch = span_of([block(number) for number in range(4, 9)])
    assert singular_batches(batch, [origin(100)], safe_head(3, 100)) is SpanMismatch.EPOCH_UNKNOWN
    assert singular_batches(batch, [], safe_head(3, 100)) is SpanMismatch.EPOCH_UNKNOWN
    assert singular_batches(batch, [origin(100), origin(101)], safe_head(3, 101)) is SpanMismatch.EPOCH_TOO_OLD
