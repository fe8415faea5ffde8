"""Recursive Length Prefix, strict: one encoding per value, all of the input, nothing else.

A decoder for data from outside: sizes are checked against what is there before anything is sliced, and nesting is
bounded. Every error names the offset of the item that broke the rule.
Spec: yellow paper, appendix B; go-ethereum's rlp package for what counts as canonical.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeAlias

from kroma_core.errors import DecodeError

Item: TypeAlias = "bytes | list[Item]"
"""What decoding gives."""
Encodable: TypeAlias = "bytes | int | Sequence[Encodable]"
"""What can be encoded; integers are non-negative, big-endian without leading zeros."""

MAX_DEPTH = 64
"""Lists within lists that a decoder follows. Nothing in the protocol nests deeper than six."""

EMPTY_LIST = b"\xc0"
EMPTY_STRING = b"\x80"

_SINGLE = tuple(bytes((n,)) for n in range(256))
_SHORT_STRING = tuple(bytes((0x80 + n,)) for n in range(56))
_SHORT_LIST = tuple(bytes((0xC0 + n,)) for n in range(56))


def encode_bytes(data: bytes) -> bytes:
    """A byte string."""
    size = len(data)
    if size < 56:
        if size == 1 and data[0] < 0x80:
            return data
        return _SHORT_STRING[size] + data
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return _SINGLE[0xB7 + len(size_bytes)] + size_bytes + data


def encode_int(number: int) -> bytes:
    """A non-negative integer; zero is the empty string."""
    if number < 0x80:
        if number < 0:
            raise ValueError(f"RLP has no negative integers: {number}")
        return _SINGLE[number] if number else EMPTY_STRING
    size = (number.bit_length() + 7) >> 3
    if size < 56:
        return _SHORT_STRING[size] + number.to_bytes(size, "big")
    return encode_bytes(number.to_bytes(size, "big"))


def list_header(size: int) -> bytes:
    """What stands before the `size` bytes of a list's items."""
    if size < 56:
        return _SHORT_LIST[size]
    size_bytes = size.to_bytes((size.bit_length() + 7) >> 3, "big")
    return _SINGLE[0xF7 + len(size_bytes)] + size_bytes


def encode_list(items: Iterable[bytes]) -> bytes:
    """A list of items that are already encoded."""
    payload = b"".join(items)
    return list_header(len(payload)) + payload


def encode(item: Encodable) -> bytes:
    """Any nesting of bytes, non-negative integers and sequences."""
    if isinstance(item, bytes):
        return encode_bytes(item)
    if isinstance(item, int):
        return encode_int(item)
    if isinstance(item, (list, tuple)):
        return encode_list([encode(inner) for inner in item])
    raise TypeError(f"RLP encodes bytes, integers and sequences, not {type(item).__name__}")


def decode(data: bytes) -> Item:
    """The one item that `data` is. Raises `DecodeError`."""
    if not data:
        _fail(0, "empty input")
    if data[0] >= 0xC0:
        start = _list_start(data, 0, len(data))
        return _items(data, start, len(data), MAX_DEPTH)
    found, end = _string(data, 0, len(data))
    if end != len(data):
        _fail(end, f"{len(data) - end} bytes after the item")
    return found


def decode_list(data: bytes, pos: int = 0) -> list[Item]:
    """The items of the one list that `data` is from `pos` on. Raises `DecodeError`, also when it is a string."""
    return _items(data, _list_start(data, pos, len(data)), len(data), MAX_DEPTH)


def split_list(data: bytes) -> list[bytes]:
    """The items of the one list that `data` is, each in its encoding.

    What is inside a nested list is not looked at. Raises `DecodeError`.
    """
    end = len(data)
    pos = _list_start(data, 0, end)
    items: list[bytes] = []
    append = items.append
    while pos < end:
        after = _item_end(data, pos, end)
        append(data[pos:after])
        pos = after
    return items


def list_span(data: bytes, pos: int = 0) -> tuple[int, int]:
    """Where the payload of the list at `pos` begins and ends; bytes may follow it. Raises `DecodeError`."""
    if pos >= len(data) or data[pos] < 0xC0:
        _fail(pos, "expected a list")
    return _span(data, pos, len(data))


def item_end(data: bytes, pos: int = 0) -> int:
    """Where the item at `pos` ends. Its header is checked, the inside of a list is not. Raises `DecodeError`."""
    if pos >= len(data):
        _fail(pos, "expected an item")
    return _item_end(data, pos, len(data))


def _fail(pos: int, what: str) -> NoReturn:
    raise DecodeError(f"RLP at byte {pos}: {what}")


def _list_start(data: bytes, pos: int, limit: int) -> int:
    """Offset of the first item of the list at `pos`, which must reach to `limit`."""
    if pos >= limit or data[pos] < 0xC0:
        _fail(pos, "expected a list")
    start, end = _span(data, pos, limit)
    if end != limit:
        _fail(end, f"{limit - end} bytes after the list")
    return start


def _span(data: bytes, pos: int, limit: int) -> tuple[int, int]:
    """Start and end of the payload of the item at `pos`, other than a single byte below 0x80."""
    prefix = data[pos]
    if prefix >= 0xC0:
        prefix -= 0x40
    if prefix <= 0xB7:
        start = pos + 1
        size = prefix - 0x80
    else:
        start = pos + prefix - 0xB6
        size = int.from_bytes(data[pos + 1 : start], "big")
        if start > limit:
            _fail(pos, "size cut short")
        if size < 56 or data[pos + 1] == 0:
            _fail(pos, f"size {size} is not in its shortest form")
    end = start + size
    if end > limit:
        _fail(pos, f"{size} bytes announced, {limit - start} are there")
    return start, end


def _string(data: bytes, pos: int, limit: int) -> tuple[bytes, int]:
    """The string at `pos` and where it ends."""
    if data[pos] < 0x80:
        return data[pos : pos + 1], pos + 1
    start, end = _span(data, pos, limit)
    if end - start == 1 and data[start] < 0x80:
        _fail(pos, f"byte 0x{data[start]:02x} has a prefix it does not need")
    return data[start:end], end


def _item_end(data: bytes, pos: int, limit: int) -> int:
    prefix = data[pos]
    if prefix < 0x80:
        return pos + 1
    if prefix == 0x81:
        return _string(data, pos, limit)[1]
    return _span(data, pos, limit)[1]


def _items(data: bytes, pos: int, limit: int, depth: int) -> list[Item]:
    """The items between `pos` and `limit`. The common short forms are written out: this is the hottest loop here."""
    items: list[Item] = []
    append = items.append
    while pos < limit:
        prefix = data[pos]
        if prefix < 0x80:
            append(_SINGLE[prefix])
            pos += 1
        elif prefix < 0xB8:
            start = pos + 1
            end = pos + prefix - 0x7F
            if end > limit:
                _fail(pos, f"{end - start} bytes announced, {limit - start} are there")
            if prefix == 0x81 and data[start] < 0x80:
                _fail(pos, f"byte 0x{data[start]:02x} has a prefix it does not need")
            append(data[start:end])
            pos = end
        elif prefix < 0xC0:
            start, end = _span(data, pos, limit)
            append(data[start:end])
            pos = end
        elif prefix == 0xC0:
            append([])
            pos += 1
        else:
            if depth == 0:
                _fail(pos, f"lists nested deeper than {MAX_DEPTH}")
            start, end = _span(data, pos, limit)
            append(_items(data, start, end, depth - 1))
            pos = end
    return items
