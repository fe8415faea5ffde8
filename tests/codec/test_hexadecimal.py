"""Hexadecimal text of JSON-RPC."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.codec.hexadecimal import data, data_list, fixed, quantity, to_data, to_quantity
from kroma_core.errors import DecodeError


@pytest.mark.parametrize(
    ("text", "number"), [("0x0", 0), ("0X1f", 31), ("0xFf", 255), ("0xffffffffffffffff", 2**64 - 1)]
)
def test_quantities_are_read(text: str, number: int) -> None:
    assert quantity(text, "field") == number


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0x",
        "1",
        "0x00",
        "0x01",
        "0x1_0",
        "0x+1",
        "0x 1",
        "0x1\n",
        "0xg",
        "0x\u0661",
        "0x10000000000000000",
        1,
        None,
    ],
)
def test_quantities_in_another_form_are_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="field"):
        quantity(value, "field")


def test_the_bits_of_a_quantity_are_counted_exactly() -> None:
    assert quantity("0x1f", "field", 5) == 31
    with pytest.raises(DecodeError, match="5 bits"):
        quantity("0x20", "field", 5)


@pytest.mark.parametrize(
    "value", ["", "00", "0x0", "0x0g", "0x00 ", "0x 00", "0x00\n", "0x\u0661\u0661", b"0x00", 0, None]
)
def test_data_in_another_form_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError, match="field"):
        data(value, "field")


def test_data_of_another_size_is_refused() -> None:
    assert fixed("0x0102", 2, "field") == b"\x01\x02"
    with pytest.raises(DecodeError, match="expected 3 bytes, got 2"):
        fixed("0x0102", 3, "field")


def test_lists_of_data_are_read_whole_or_refused() -> None:
    assert data_list(["0x", "0x01"], "field") == (b"", b"\x01")
    with pytest.raises(DecodeError):
        data_list(["0x", 1], "field")
    with pytest.raises(DecodeError):
        data_list("0x", "field")


def test_numbers_and_bytes_are_written() -> None:
    assert (to_quantity(0), to_quantity(255), to_data(b""), to_data(b"\x0a")) == ("0x0", "0xff", "0x", "0x0a")


def test_the_error_is_short_whatever_the_value_is() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    for value in (nested, "0x" + "f" * 10**6, 10**10_000):
        with pytest.raises(DecodeError) as caught:
            quantity(value, "field")
        assert len(str(caught.value)) < 200
