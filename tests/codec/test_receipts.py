"""Receipts, logs and blooms."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec import rlp
from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Log, Receipt, bloom_contains, bloom_of, bloom_union
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

LOG = Log(b"\x11" * 20, (b"\x22" * 32, b"\x33" * 32), b"data")
DEPOSIT = Receipt(
    type=0x7E,
    status=1,
    cumulative_gas_used=21000,
    bloom=bloom_of([LOG]),
    logs=(LOG,),
    deposit_nonce=5,
    deposit_version=1,
)


def test_recorded_l1_receipts_have_the_header_s_root_and_bloom() -> None:
    for block in load(OWN_VECTORS / "op-chains" / "plain-jovian.json.xz")["l1"]["blocks"]:
        header = Header.decode(hex_bytes(block["header"]))
        receipts = [Receipt.decode(hex_bytes(raw)) for raw in block["receipts"]]
        assert ordered_root([receipt.encode() for receipt in receipts]) == header.receipts_root
        assert bloom_union(bloom_of(receipt.logs) for receipt in receipts) == header.bloom


def test_the_root_leaves_out_a_deposit_nonce_without_a_version() -> None:
    receipt = attrs.evolve(DEPOSIT, deposit_version=None)
    assert receipt.encode() == attrs.evolve(receipt, deposit_nonce=None).encode()
    assert receipt.encode() != receipt.encode_stored()
    assert Receipt.decode(receipt.encode_stored()) == receipt


def test_a_receipt_from_before_byzantium_keeps_its_state_root() -> None:
    receipt = Receipt(type=0, status=0, cumulative_gas_used=1, bloom=bytes(256), logs=(), post_state=b"\x44" * 32)
    assert Receipt.decode(receipt.encode()) == receipt
    assert rlp.split_list(receipt.encode())[0] == b"\xa0" + b"\x44" * 32


@pytest.mark.parametrize(
    "raw",
    ["", "00", "05c0", "7e", "02c0", "80", "c0", "7f" + "c0"],
    ids=["empty", "type 0", "type 5", "type alone", "no fields", "string", "empty list", "unknown type"],
)
def test_what_is_no_receipt_is_refused(raw: str) -> None:
    with pytest.raises(DecodeError):
        Receipt.decode(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "log",
    [
        b"\x80",
        rlp.encode([b"\x11" * 19, [], b""]),
        rlp.encode([b"\x11" * 20, [b"\x22" * 31], b""]),
        rlp.encode([b"\x11" * 20, b"", b""]),
        rlp.encode([b"\x11" * 20, []]),
        rlp.encode([b"\x11" * 20, [], b"", b""]),
        rlp.encode([b"\x11" * 20, [], []]),
    ],
)
def test_a_log_of_another_shape_is_refused(log: bytes) -> None:
    items = rlp.split_list(DEPOSIT.encode()[1:])
    items[3] = rlp.encode_list([log])
    with pytest.raises(DecodeError):
        Receipt.decode(b"\x7e" + rlp.encode_list(items))


def test_a_bloom_contains_what_it_was_made_of() -> None:
    assert bloom_contains(DEPOSIT.bloom, LOG.address)
    assert all(bloom_contains(DEPOSIT.bloom, topic) for topic in LOG.topics)
    assert not bloom_contains(DEPOSIT.bloom, b"\x12" * 20)
    assert not bloom_contains(bloom_of([]), LOG.address)


logs = st.builds(
    Log,
    st.binary(min_size=20, max_size=20),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    st.binary(max_size=80),
)
u64 = st.integers(0, 2**64 - 1)
receipts = st.builds(
    lambda kind, status, gas, found, nonce, version: Receipt(
        type=kind,
        status=status,
        cumulative_gas_used=gas,
        bloom=bloom_of(found),
        logs=tuple(found),
        deposit_nonce=nonce if kind == 0x7E else None,
        deposit_version=version if kind == 0x7E and nonce is not None else None,
    ),
    st.sampled_from([0, 1, 2, 3, 4, 0x7E]),
    st.integers(0, 1),
    u64,
    st.lists(logs, max_size=3),
    st.none() | u64,
    st.none() | u64,
)


@given(receipts)
@settings(max_examples=150)
def test_every_receipt_comes_back_from_its_stored_form(receipt: Receipt) -> None:
    assert Receipt.decode(receipt.encode_stored()) == receipt
    assert all(bloom_contains(receipt.bloom, log.address) for log in receipt.logs)


@given(receipts, st.data())
@settings(max_examples=150)
def test_flipped_receipts_are_refused_or_come_back_the_same(receipt: Receipt, data: st.DataObject) -> None:
    raw = bytearray(receipt.encode_stored())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = Receipt.decode(bytes(raw))
    except DecodeError:
        return
    assert decoded.encode_stored() == raw
