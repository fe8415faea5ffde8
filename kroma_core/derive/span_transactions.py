"""The transactions of a span batch: read from their columns, and written out as each stands in a block.

Written for speed: what is canonical RLP already is sliced out and joined again, never decoded, and numbers that repeat
are looked up. Spec: delta/span-batches.md, "Span batch format"; isthmus/derivation.md, "Span Batch Updates".
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import attrs

from kroma_core.codec.rlp import EMPTY_STRING, encode_bytes, encode_int, list_header

_LEGACY: Final = 0
_ACCESS_LIST: Final = 1
_DYNAMIC_FEE: Final = 2
_SET_CODE: Final = 4
_POST_EXEC: Final = 0x7D

_MAX_DATA: Final = 10_000_000
"""Limit of one transaction's data list, its header included."""
_UVARINT: Final = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_MAX_UVARINT: Final = 10
_SIGNATURE: Final = struct.Struct("32s32s")


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


@attrs.frozen
class UnwritableTransaction:
    """A transaction that the columns do not make up: its index in the batch, and why."""

    index: int
    problem: SpanProblem


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


def read_bits(data: bytes, pos: int, count: int) -> tuple[str, int]:
    """A list of `count` bits as a string of 0 and 1, first bit first, and where it ends."""
    end = pos + (count + 7) // 8
    if end > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    bits = int.from_bytes(data[pos:end], "big")
    if bits >> count:
        raise MalformedSpan(SpanProblem.SPARE_BITS, pos)
    return f"{bits:0{count}b}"[::-1][:count], end


def read_transactions(data: bytes, pos: int, count: int, chain_id: int) -> list[bytes] | UnwritableTransaction:
    """The `count` transactions whose columns begin at `pos`.

    Raises `MalformedSpan` or `IndexError` for what ends the channel, also when a transaction is unwritable.
    """
    if pos + _SIGNATURE.size * count > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    creations, pos = read_bits(data, pos, count)
    parities, pos = read_bits(data, pos, count)
    signatures = pos
    receivers = signatures + _SIGNATURE.size * count
    datas = receivers + 20 * creations.count("0")
    if datas > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    parts, legacy, pos = _read_datas(data, datas, count)
    numbers, pos = _read_numbers(data, pos, 2 * count)
    protected, pos = read_bits(data, pos, legacy)
    for index, part in enumerate(parts):
        if isinstance(part, SpanProblem):
            return UnwritableTransaction(index, part)
        if part[0] == _SET_CODE and creations[index] == "1":
            return UnwritableTransaction(index, SpanProblem.SET_CODE_CREATION)
    columns = zip(
        parts,
        numbers[:count],
        numbers[count:],
        _receivers(data, receivers, creations),
        _SIGNATURE.iter_unpack(data[signatures:receivers]),
        parities,
        strict=True,
    )
    return _write(columns, iter(protected), chain_id)


# --- reading

_Part: TypeAlias = tuple[int, bytes, bytes, bytes]
"""Type, value, fees, and the rest of what a batch and a block encode alike (data, access list, authorizations)."""


def _read_datas(data: bytes, pos: int, count: int) -> tuple[list[_Part | SpanProblem], int, int]:
    """Take each transaction's data apart; also the number of legacy ones, and where the column ends.

    Each has to be a list; what is wrong inside is only noted.
    """
    size = len(data)
    parts: list[_Part | SpanProblem] = []
    add = parts.append
    legacy = 0
    ends: Callable[[bytes, int], _Ends]
    for _ in range(count):
        kind = data[pos]
        if kind > 0x7F:
            kind, ends = _LEGACY, _legacy_ends
        else:
            pos += 1
            ends = _FIELD_ENDS.get(kind, _no_ends)
        legacy += kind == _LEGACY
        start, head = pos, data[pos]
        if head > 0xF7:
            pos, end = _long_list(data, pos)
        elif head >= 0xC0:
            end = pos + head - 0xBF
            pos += 1
        else:
            raise MalformedSpan(SpanProblem.DATA_NOT_LIST, pos)
        if end > size:
            raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
        try:
            value, fees, rest = ends(data, pos)
        except (_WrongFields, IndexError):
            rest = 0
        if rest == end:
            add((kind, data[pos:value], data[value:fees], data[fees:end]))
        elif kind == _POST_EXEC:
            add((kind, b"", b"", data[start:end]))
        else:
            add(SpanProblem.UNKNOWN_TYPE if ends is _no_ends else SpanProblem.DATA_FIELDS)
        pos = end
    return parts, legacy, pos


def _long_list(data: bytes, pos: int) -> tuple[int, int]:
    """Bounds of what is in the list at `pos`, whose size is given in bytes of its own."""
    start = pos + data[pos] - 0xF6
    if start > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    size = int.from_bytes(data[pos + 1 : start], "big")
    if size < 56 or not data[pos + 1]:
        raise MalformedSpan(SpanProblem.DATA_HEADER, pos)
    if size > _MAX_DATA - (start - pos):
        raise MalformedSpan(SpanProblem.DATA_TOO_LONG, pos)
    return start, start + size


def _read_numbers(data: bytes, pos: int, count: int) -> tuple[list[bytes], int]:
    """The next `count` uvarints, each as RLP, and where they end."""
    found = _UVARINT.findall(data, pos, pos + _MAX_UVARINT * count)[:count]
    if len(found) < count:
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    encoded = _EncodedUvarints()
    return [encoded[uvarint] for uvarint in found], pos + sum(map(len, found))


class _EncodedUvarints(dict[bytes, bytes]):
    """RLP of a number by its uvarint. Nonces and gas limits repeat, so most are found."""

    def __missing__(self, uvarint: bytes) -> bytes:
        encoded = self[uvarint] = encode_int(read_uvarint(uvarint, 0)[0])
        return encoded


def _receivers(data: bytes, pos: int, creations: str) -> list[bytes]:
    """Each transaction's receiver as RLP; those that create a contract have none."""
    if "1" not in creations:
        return [b"\x94" + data[at : at + 20] for at in range(pos, pos + 20 * len(creations), 20)]
    receivers = []
    for creates in creations:
        if creates == "1":
            receivers.append(EMPTY_STRING)
        else:
            receivers.append(b"\x94" + data[pos : pos + 20])
            pos += 20
    return receivers


# --- where the fields of a transaction's data end: value, fees, everything. The first lies at `pos`, in a list that is
# known to end within `data`. A field that reaches beyond the list is noticed by its end.


class _WrongFields(Exception):
    """A field is not what its type says."""


_Ends: TypeAlias = tuple[int, int, int]


def _no_ends(data: bytes, pos: int) -> _Ends:
    raise _WrongFields


def _legacy_ends(data: bytes, pos: int) -> _Ends:
    value = _int_end(data, pos)
    fees = _int_end(data, value)
    return value, fees, _string_end(data, fees)


def _access_list_ends(data: bytes, pos: int) -> _Ends:
    value, fees, rest = _legacy_ends(data, pos)
    return value, fees, _access_list_end(data, rest)


def _dynamic_fee_ends(data: bytes, pos: int) -> _Ends:
    value = _int_end(data, pos)
    fees = _int_end(data, _int_end(data, value))
    rest = _string_end(data, fees)
    return value, fees, rest + 1 if data[rest] == 0xC0 else _access_list_end(data, rest)


def _set_code_ends(data: bytes, pos: int) -> _Ends:
    value = _int_end(data, pos, 32)
    fees = _int_end(data, _int_end(data, value, 32), 32)
    return value, fees, _authorizations_end(data, _access_list_end(data, _string_end(data, fees)))


_FIELD_ENDS: Final[dict[int, Callable[[bytes, int], _Ends]]] = {
    _ACCESS_LIST: _access_list_ends,
    _DYNAMIC_FEE: _dynamic_fee_ends,
    _SET_CODE: _set_code_ends,
}


def _int_end(data: bytes, pos: int, size: int = _MAX_DATA) -> int:
    """Of an integer of at most `size` bytes."""
    head = data[pos]
    if head < 0x80:
        if not head:
            raise _WrongFields
        return pos + 1
    if head > 0xBF:
        raise _WrongFields
    start, end = (pos + 1, pos + head - 0x7F) if head < 0xB8 else _long_string(data, pos)
    if head != 0x80:
        first = data[start]
        if not first or (head == 0x81 and first < 0x80) or end - start > size:
            raise _WrongFields
    return end


def _string_end(data: bytes, pos: int) -> int:
    head = data[pos]
    if head < 0x80:
        return pos + 1
    if head < 0xB8:
        if head == 0x81 and data[pos + 1] < 0x80:
            raise _WrongFields
        return pos + head - 0x7F
    if head > 0xBF:
        raise _WrongFields
    return _long_string(data, pos)[1]


def _long_string(data: bytes, pos: int) -> tuple[int, int]:
    start = pos + data[pos] - 0xB6
    size = int.from_bytes(data[pos + 1 : start], "big")
    if size < 56 or not data[pos + 1]:
        raise _WrongFields
    return start, start + size


def _list_bounds(data: bytes, pos: int) -> tuple[int, int]:
    head = data[pos]
    if head < 0xC0:
        raise _WrongFields
    if head < 0xF8:
        return pos + 1, pos + head - 0xBF
    start = pos + head - 0xF6
    size = int.from_bytes(data[pos + 1 : start], "big")
    if size < 56 or not data[pos + 1]:
        raise _WrongFields
    return start, start + size


def _access_list_end(data: bytes, pos: int) -> int:
    """Of `[[address, [key, ...]], ...]`."""
    pos, end = _list_bounds(data, pos)
    while pos < end:
        entry, after = _list_bounds(data, pos)
        keys, keys_end = _list_bounds(data, entry + 21)
        if data[entry] != 0x94 or keys_end != after or (keys_end - keys) % 33 or after > len(data):
            raise _WrongFields
        if data[keys:keys_end:33].count(0xA0) * 33 != keys_end - keys:
            raise _WrongFields
        pos = after
    if pos != end:
        raise _WrongFields
    return end


def _authorizations_end(data: bytes, pos: int) -> int:
    """Of `[[chain_id, address, nonce, y_parity, r, s], ...]`."""
    pos, end = _list_bounds(data, pos)
    while pos < end:
        pos, after = _list_bounds(data, pos)
        pos = _int_end(data, pos, 32)
        if data[pos] != 0x94:
            raise _WrongFields
        pos = _int_end(data, pos + 21, 8)
        for size in (1, 32, 32):
            pos = _int_end(data, pos, size)
        if pos != after:
            raise _WrongFields
    if pos != end:
        raise _WrongFields
    return end


# --- writing

_HEADERS: Final = {
    kind: tuple((bytes((kind,)) if kind else b"") + list_header(size) for size in range(1024))
    for kind in (_LEGACY, *_FIELD_ENDS)
}
"""What stands before a transaction's fields, by type and by the fields' size."""
_FULL_WORD: Final = b"\xa0"


def _write(
    columns: Iterable[tuple[_Part, bytes, bytes, bytes, tuple[bytes, bytes], str]],
    protected: Iterator[str],
    chain_id: int,
) -> list[bytes]:
    """Put every transaction together from its part, nonce, gas limit, receiver, (r, s) and parity."""
    transactions: list[bytes] = []
    add = transactions.append
    join = b"".join
    chain = encode_int(chain_id)
    parity_of = {"0": EMPTY_STRING, "1": b"\x01"}
    v_of = {
        "0": {"0": encode_int(27), "1": encode_int(28)},
        "1": {"0": encode_int(2 * chain_id + 35), "1": encode_int(2 * chain_id + 36)},
    }
    for (kind, value, fees, rest), nonce, gas, receiver, (r, s), parity in columns:
        if r[0] and s[0]:
            r_head = s_head = _FULL_WORD
        else:
            r_head = s_head = b""
            r, s = encode_bytes(r.lstrip(b"\0")), encode_bytes(s.lstrip(b"\0"))
        if kind == _LEGACY:
            v = v_of[next(protected)][parity]
            body = join((nonce, fees, gas, receiver, value, rest, v, r_head, r, s_head, s))
        elif kind == _POST_EXEC:
            add(b"\x7d" + rest)
            continue
        else:
            body = join((chain, nonce, fees, gas, receiver, value, rest, parity_of[parity], r_head, r, s_head, s))
        size = len(body)
        if size < 1024:
            add(_HEADERS[kind][size] + body)
        else:
            add((bytes((kind,)) if kind else b"") + list_header(size) + body)
    return transactions
