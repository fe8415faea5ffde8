"""The blob codec: properties that hold for any data and any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kroma_da_blob.codec import BLOB_SIZE, MAX_DATA, decode, encode

from kroma_core.errors import DecodeError

MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.integers(0, MAX_DATA).map(lambda size: bytes([size % 256]) * size)))
def test_what_is_encoded_decodes_to_itself_and_is_made_of_field_elements(data: bytes) -> None:
    blob = encode(data)
    assert len(blob) == BLOB_SIZE
    assert all(int.from_bytes(blob[at : at + 32], "big") < MODULUS for at in range(0, BLOB_SIZE, 32))
    assert decode(blob) == data


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, BLOB_SIZE - 1), st.integers(0, 7))
def test_a_flipped_bit_changes_the_data_or_is_refused(data: bytes, place: int, bit: int) -> None:
    blob = bytearray(encode(data))
    blob[place] ^= 1 << bit
    try:
        decoded = decode(bytes(blob))
    except DecodeError:
        return
    assert decoded != data or (place == 0 and bit >= 6)  # the first byte's high bits are not looked at


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_decode_or_are_refused(start: bytes) -> None:
    try:
        data = decode(start.ljust(BLOB_SIZE, b"\0"))
    except DecodeError:
        return
    assert len(data) <= MAX_DATA


def test_data_that_is_too_long_is_refused() -> None:
    with pytest.raises(DecodeError, match="at most 130044"):
        encode(bytes(MAX_DATA + 1))
    assert decode(encode(bytes(MAX_DATA))) == bytes(MAX_DATA)


@pytest.mark.parametrize("size", [0, 5, BLOB_SIZE - 1, BLOB_SIZE + 1])
def test_a_blob_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="expected 131072 bytes"):
        decode(bytes(size))
