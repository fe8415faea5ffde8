"""The plain columns of a span batch: numbers and bits.

Spec: delta/span-batches.md, "Span batch format".
"""

from __future__ import annotations

import enum
import re
from typing import Final

from kroma_core.codec.rlp import encode_int

_MAX_UVARINT: Final = 10
_UVARINT: Final = re.compile(rb"[\x80-\xff]{0,9}[\x00-\x7f]")


class SpanProblem(enum.StrEnum):
    """What is wrong with a span batch."""

    CUT_SHORT = "cut short"
    NUMBER_TOO_LARGE = "a number does not fit into 64 bits"
    NO_BLOCKS = "no blocks"
    TOO_MANY = "more blocks or transactions than a span batch may have"
    SPARE_BITS = "a bit is set beyond the end of a bit list"
    DATA_NOT_LIST = "a transaction's data is not a list"
    DATA_HEADER = "the size of a transaction's data is not in its shortest form"
    DATA_TOO_LONG = "a transaction's data announces too much"
    UNKNOWN_TYPE = "a transaction of a type that no batch may hold"
    DATA_FIELDS = "a transaction's data does not have the fields of its type"
    SET_CODE_CREATION = "a set-code transaction without receiver"


class MalformedSpan(Exception):
    """The columns cannot be read. Never leaves the decoder."""

    def __init__(self, problem: SpanProblem, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


def read_uvarint(data: bytes, pos: int) -> tuple[int, int]:
    """The number at `pos` and where it ends. Forms longer than needed are accepted. `IndexError` if it is cut short."""
    byte = data[pos]
    if byte < 0x80:
        return byte, pos + 1
    number = 0
    for shift in range(0, 7 * _MAX_UVARINT, 7):
        byte = data[pos]
        pos += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, pos
    raise MalformedSpan(SpanProblem.NUMBER_TOO_LARGE, pos)


def read_encoded_uvarints(data: bytes, pos: int, count: int) -> tuple[list[bytes], int]:
    """The next `count` numbers, each in RLP, and where they end."""
    found = _UVARINT.findall(data, pos, pos + _MAX_UVARINT * count)[:count]
    column = b"".join(found)
    if not data.startswith(column, pos):  # the search went over a number that is too long
        raise MalformedSpan(SpanProblem.NUMBER_TOO_LARGE, pos)
    if len(found) < count:
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos + len(column))
    return list(map(_EncodedUvarints().__getitem__, found)), pos + len(column)


class _EncodedUvarints(dict[bytes, bytes]):
    """RLP of a number by its uvarint. Nonces and gas limits repeat, so most are found."""

    def __missing__(self, uvarint: bytes) -> bytes:
        if len(uvarint) <= 3:  # nearly always: seven bits of each byte, lowest first
            bits = int.from_bytes(uvarint, "little")
            number = bits & 0x7F | bits >> 1 & 0x3F80 | bits >> 2 & 0x1FC000
        else:
            number = read_uvarint(uvarint, 0)[0]
        encoded = self[uvarint] = encode_int(number)
        return encoded


def read_bits(data: bytes, pos: int, count: int) -> tuple[str, int]:
    """A list of `count` bits as a string of 0 and 1, first bit first, and where it ends."""
    end = pos + (count + 7) // 8
    if end > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    bits = int.from_bytes(data[pos:end], "big")
    if bits >> count:
        raise MalformedSpan(SpanProblem.SPARE_BITS, pos)
    return f"{bits:0{count}b}"[::-1][:count], end
