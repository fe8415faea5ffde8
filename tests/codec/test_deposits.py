"""Deposit transactions: what decoders refuse, and round trips of both encodings."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec import rlp
from kroma_core.codec.deposits import DepositTransaction, decode_deposit, is_deposit, user_deposit_source
from kroma_core.codec.transactions import inbox_fields
from kroma_core.errors import DecodeError

DEPOSIT = DepositTransaction(
    source_hash=b"\x01" * 32, sender=b"\x02" * 20, to=b"\x03" * 20, mint=5, value=6, gas=7, data=b"payload"
)


def with_item(index: int, item: bytes) -> bytes:
    items = rlp.split_list(DEPOSIT.encode()[1:])
    items[index] = item
    return b"\x7e" + rlp.encode_list(items)


def test_the_source_hash_of_the_specification_s_example() -> None:
    # op-node's deposit_source_test.go.
    block = bytes.fromhex("d25df7858efc1778118fb133ac561b138845361626dfb976699c5287ed0f4959")
    assert user_deposit_source(block, 1).hex() == "f923fb07134d7d287cb52c770cc619e17e82606c21a875c92f4c63b65280a5cc"


@pytest.mark.parametrize(
    ("index", "item"),
    [
        (0, b"\x80"),
        (1, b"\x80"),
        (2, rlp.EMPTY_LIST),
        (2, rlp.encode_bytes(b"\x03" * 19)),
        (3, b"\x00"),
        (4, b"\x82\x00\x01"),
        (5, rlp.encode_int(2**64)),
        (6, b"\x02"),
        (6, b"\x00"),
        (6, b"\x81\x80"),
        (7, rlp.EMPTY_LIST),
    ],
)
def test_a_field_of_another_form_is_refused(index: int, item: bytes) -> None:
    with pytest.raises(DecodeError, match="deposit"):
        decode_deposit(with_item(index, item))


def test_no_receiver_is_a_creation() -> None:
    creation = attrs.evolve(DEPOSIT, to=None)
    assert decode_deposit(creation.encode()) == creation
    assert inbox_fields(creation.encode()) == (0x7E, None)
    assert inbox_fields(DEPOSIT.encode()) == (0x7E, b"\x03" * 20)


def test_only_type_0x7e_is_a_deposit() -> None:
    assert is_deposit(DEPOSIT.encode())
    assert not is_deposit(b"")
    with pytest.raises(DecodeError, match="0x02"):
        decode_deposit(b"\x02" + DEPOSIT.encode()[1:])


deposits = st.builds(
    DepositTransaction,
    source_hash=st.binary(min_size=32, max_size=32),
    sender=st.binary(min_size=20, max_size=20),
    to=st.none() | st.binary(min_size=20, max_size=20),
    mint=st.integers(0, 2**257),
    value=st.integers(0, 2**257),
    gas=st.integers(0, 2**64 - 1),
    is_system=st.booleans(),
    data=st.binary(max_size=300),
)


@given(deposits)
@settings(max_examples=100)
def test_every_deposit_comes_back_from_both_encodings(deposit: DepositTransaction) -> None:
    assert decode_deposit(deposit.encode()) == deposit
    assert decode_deposit(deposit.encode_legacy(), legacy=True) == attrs.evolve(deposit, is_system=False)


@given(deposits, st.data())
@settings(max_examples=150)
def test_flipped_deposits_are_refused_or_come_back_the_same(deposit: DepositTransaction, data: st.DataObject) -> None:
    raw = bytearray(deposit.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_deposit(bytes(raw))
    except DecodeError:
        return
    assert decoded.encode() == raw
