"""RLP: the known examples, strictness, and agreement with an independent implementation on arbitrary input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec import rlp
from kroma_core.errors import DecodeError

LOREM = b"Lorem ipsum dolor sit amet, consectetur adipisicing elit"

# From the Ethereum wiki's and the yellow paper's examples.
EXAMPLES: list[tuple[Any, str]] = [
    (b"dog", "83646f67"),
    ([b"cat", b"dog"], "c88363617483646f67"),
    (b"", "80"),
    ([], "c0"),
    (b"\x00", "00"),
    (b"\x0f", "0f"),
    (b"\x04\x00", "820400"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (LOREM, "b838" + LOREM.hex()),
    ([LOREM], "f83ab838" + LOREM.hex()),
]

NOT_CANONICAL = {
    "empty input": "",
    "string cut short": "83646f",
    "list cut short": "c88363617483646f",
    "bytes after a string": "83646f6700",
    "bytes after a list": "c000",
    "single byte with a prefix": "8100",
    "single byte with a prefix, in a list": "c28100",
    "short string with a long prefix": "b803646f67",
    "long size with a leading zero": "b90038" + LOREM.hex(),
    "short list with a long prefix": "f803c0c0c0",
    "size cut short": "b9ff",
    "size of eight bytes that nobody has": "bfffffffffffffffff",
    "list size of eight bytes that nobody has": "ffffffffffffffffff",
    "item reaches beyond its list": "c383646f67",
    "inner string longer than its list": "c2836162",
}


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES)
def test_known_examples_are_encoded_and_decoded(value: Any, encoded: str) -> None:
    assert rlp.encode(value).hex() == encoded
    assert rlp.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(("number", "encoded"), [(0, "80"), (15, "0f"), (127, "7f"), (128, "8180"), (1024, "820400")])
def test_integers_are_encoded_in_their_shortest_form(number: int, encoded: str) -> None:
    assert rlp.encode(number).hex() == encoded


@pytest.mark.parametrize("encoded", NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_what_is_not_canonical_is_refused(encoded: str) -> None:
    with pytest.raises(DecodeError):
        rlp.decode(bytes.fromhex(encoded))


def test_the_error_names_the_offset() -> None:
    with pytest.raises(DecodeError, match="at byte 5"):
        rlp.decode(bytes.fromhex("c6836361748100"))


def nested(depth: int) -> bytes:
    """A list in a list, `depth` times."""
    headers = [b"\xc0"]
    size = 1
    for _ in range(depth):
        headers.append(rlp.list_header(size))
        size += len(headers[-1])
    return b"".join(reversed(headers))


@pytest.mark.parametrize("depth", [rlp.MAX_DEPTH + 2, 100_000])
def test_lists_nested_too_deep_are_refused(depth: int) -> None:
    with pytest.raises(DecodeError, match="nested deeper"):
        rlp.decode(nested(depth))


def test_lists_nested_as_deep_as_allowed_are_decoded() -> None:
    assert rlp.encode(rlp.decode(nested(rlp.MAX_DEPTH))) == nested(rlp.MAX_DEPTH)


def test_a_list_is_split_into_the_encodings_of_its_items() -> None:
    items = [b"\x01", b"\x83dog", b"\xc2\x80\x80", b"\xb8\x38" + LOREM]
    assert rlp.split_list(rlp.encode_list(items)) == items


@pytest.mark.parametrize("encoded", ["", "80", "c28100", "c883636174", "c2836162", "c101c0", "c2b803"])
def test_a_list_that_is_none_is_not_split(encoded: str) -> None:
    with pytest.raises(DecodeError):
        rlp.split_list(bytes.fromhex(encoded))


@pytest.mark.parametrize("pos", [0, 3, 6])
def test_where_an_item_ends_is_told_within_the_input_only(pos: int) -> None:
    data = bytes.fromhex("820400c28001")
    if pos == 6:
        with pytest.raises(DecodeError):
            rlp.item_end(data, pos)
    else:
        assert rlp.item_end(data, pos) == pos + 3


items = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=20)


@given(items)
@settings(max_examples=200)
def test_every_item_comes_back(item: Any) -> None:
    assert rlp.decode(rlp.encode(item)) == item


@given(items, st.data())
@settings(max_examples=300)
def test_flipped_and_cut_input_is_judged_as_another_implementation_judges_it(item: Any, data: st.DataObject) -> None:
    other = pytest.importorskip("rlp", reason="the independent implementation is the distribution `rlp`")
    encoded = bytearray(rlp.encode(item))
    for _ in range(data.draw(st.integers(0, 2))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    try:
        expected = other.codec.decode_raw(cut, True, False)[0]
    except (other.DecodingError, ValueError):
        with pytest.raises(DecodeError):
            rlp.decode(cut)
        return
    if other.encode(expected) == cut:
        assert rlp.decode(cut) == expected
    else:  # it takes an inner item that ends behind its list for a shorter one
        with pytest.raises(DecodeError):
            rlp.decode(cut)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_arbitrary_bytes_decode_to_what_encodes_back_to_them_or_are_refused(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except DecodeError:
        return
    assert rlp.encode(item) == data
