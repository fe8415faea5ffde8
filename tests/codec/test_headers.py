"""Headers of L1 and L2, of every fork."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec import rlp
from kroma_core.codec.headers import Header
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

# Ethereum mainnet's genesis: its header is in every client, its hash in every explorer.
MAINNET_GENESIS = Header(
    parent_hash=bytes(32),
    coinbase=bytes(20),
    state_root=bytes.fromhex("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"),
    transactions_root=bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
    receipts_root=bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
    bloom=bytes(256),
    difficulty=0x400000000,
    number=0,
    gas_limit=5000,
    gas_used=0,
    timestamp=0,
    extra_data=bytes.fromhex("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
    mix_hash=bytes(32),
    nonce=bytes.fromhex("0000000000000042"),
)
MAINNET_GENESIS_HASH = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"

FULL = attrs.evolve(
    MAINNET_GENESIS,
    base_fee=7,
    withdrawals_root=b"\x01" * 32,
    blob_gas_used=0x20000,
    excess_blob_gas=0,
    parent_beacon_root=b"\x02" * 32,
    requests_hash=b"\x03" * 32,
)
TRAILING = ["base_fee", "withdrawals_root", "blob_gas_used", "excess_blob_gas", "parent_beacon_root", "requests_hash"]


def recorded_headers(name: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = load(OWN_VECTORS / "op-chains" / name)["l1"]["blocks"]
    return blocks


def test_a_header_from_before_the_merge_has_the_known_hash() -> None:
    assert MAINNET_GENESIS.hash.hex() == MAINNET_GENESIS_HASH


@pytest.mark.parametrize("chain", ["plain-canyon.json.xz", "plain-jovian.json.xz"])
def test_recorded_l1_headers_have_the_recorded_hashes(chain: str) -> None:
    for block in recorded_headers(chain):
        raw = hex_bytes(block["header"])
        header = Header.decode(raw)
        assert header.hash == hex_bytes(block["hash"])
        assert header.encode() == raw
        assert header.number == int(block["number"])


@pytest.mark.parametrize("count", range(len(TRAILING) + 1))
def test_fields_that_forks_appended_are_optional_from_the_end(count: int) -> None:
    missing: dict[str, Any] = dict.fromkeys(TRAILING[count:])
    header = attrs.evolve(FULL, **missing)
    assert len(rlp.split_list(header.encode())) == 15 + count
    assert Header.decode(header.encode()) == header


def test_a_missing_field_before_one_that_is_there_is_written_as_an_empty_string() -> None:
    header = attrs.evolve(MAINNET_GENESIS, base_fee=1, blob_gas_used=5)
    assert rlp.split_list(header.encode())[15:] == [b"\x01", b"\x80", b"\x05"]


@pytest.mark.parametrize("index", range(21))
def test_a_field_of_another_size_is_refused(index: int) -> None:
    items = rlp.split_list(FULL.encode())
    items[index] = rlp.encode_bytes(b"\x01" * 33) if index != 12 else rlp.EMPTY_LIST
    with pytest.raises(DecodeError):
        Header.decode(rlp.encode_list(items))


@pytest.mark.parametrize("index", [7, 8, 9, 10, 11, 15, 17, 18])
def test_a_number_with_a_leading_zero_is_refused(index: int) -> None:
    items = rlp.split_list(FULL.encode())
    items[index] = b"\x82\x00\x01"
    with pytest.raises(DecodeError, match="leading zeros"):
        Header.decode(rlp.encode_list(items))


@pytest.mark.parametrize("count", [0, 14, 22])
def test_another_number_of_fields_is_refused(count: int) -> None:
    items = [*rlp.split_list(FULL.encode()), b"\x80"][:count]
    with pytest.raises(DecodeError, match="fields"):
        Header.decode(rlp.encode_list(items))


@given(st.data())
@settings(max_examples=150)
def test_flipped_headers_are_refused_or_come_back_the_same(data: st.DataObject) -> None:
    raw = bytearray(FULL.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = Header.decode(bytes(raw))
    except DecodeError:
        return
    assert header.encode() == raw
