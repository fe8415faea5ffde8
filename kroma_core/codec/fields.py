"""Fields of decoded RLP lists: the type, size and range that a format demands of each.

`what` names the field in the error. Integers follow go-ethereum: no leading zeros, and where a bound is given, no more
bytes than it has.
"""

from __future__ import annotations

from typing import NoReturn

from kroma_core.codec.rlp import Item
from kroma_core.errors import DecodeError


def _wrong(what: str, expected: str, item: Item) -> NoReturn:
    got = f"{len(item)} bytes" if isinstance(item, bytes) else "a list"
    raise DecodeError(f"{what}: expected {expected}, got {got}")


def as_bytes(item: Item, what: str) -> bytes:
    """A byte string of any length."""
    if type(item) is not bytes:
        _wrong(what, "bytes", item)
    return item


def as_list(item: Item, what: str) -> list[Item]:
    """A list."""
    if type(item) is not list:
        _wrong(what, "a list", item)
    return item


def as_fixed(item: Item, size: int, what: str) -> bytes:
    """Exactly `size` bytes."""
    if type(item) is not bytes or len(item) != size:
        _wrong(what, f"{size} bytes", item)
    return item


def as_uint(item: Item, what: str, size: int | None = None) -> int:
    """A non-negative integer of at most `size` bytes (None: of any size)."""
    if type(item) is not bytes or (size is not None and len(item) > size):
        _wrong(what, "an integer" if size is None else f"an integer of at most {size} bytes", item)
    if item and item[0] == 0:
        raise DecodeError(f"{what}: integer with leading zeros")
    return int.from_bytes(item, "big")


def as_u64(item: Item, what: str) -> int:
    return as_uint(item, what, 8)


def as_bool(item: Item, what: str) -> bool:
    """0 or 1."""
    number = as_uint(item, what, 1)
    if number > 1:
        raise DecodeError(f"{what}: expected 0 or 1, got {number}")
    return number == 1


def as_address(item: Item, what: str) -> bytes:
    return as_fixed(item, 20, what)


def as_optional_address(item: Item, what: str) -> bytes | None:
    """20 bytes, or the empty string for none (a contract creation)."""
    if item == b"":
        return None
    return as_fixed(item, 20, what)


def expect_count(items: list[Item], count: int, what: str) -> None:
    if len(items) != count:
        raise DecodeError(f"{what}: expected {count} fields, got {len(items)}")
