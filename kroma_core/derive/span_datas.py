"""The column of transaction data in a span batch: what of a transaction is neither signature, receiver, nonce nor gas.

    legacy         rlp([value, gas_price, data])
    access list    1, rlp([value, gas_price, data, access_list])
    dynamic fee    2, rlp([value, tip, fee_cap, data, access_list])
    set code       4, rlp([value, tip, fee_cap, data, access_list, authorizations])

That each is a list belongs to the first step of reading (see `span_batch`), what is in it to the second. Fields are
only delimited: they are canonical RLP, so a block's transaction has the same bytes.
Spec: delta/span-batches.md, "Span batch format"; isthmus/derivation.md, "Span Batch Updates".
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

from kroma_core.codec.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, SET_CODE
from kroma_core.derive.span_columns import MalformedSpan, SpanProblem

POST_EXEC: Final = 0x7D
"""Not wrapped by fields: its list goes into the transaction as it is."""
_MAX_DATA: Final = 10_000_000
"""Limit of one transaction's list, its header included."""
_TYPES: Final = (LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE)
_NO_TYPE: Final = 0x100
_WORD: Final = 32

TransactionData: TypeAlias = tuple[int, bytes, bytes, bytes]
"""Type, value, fees, and the rest of the fields."""


@attrs.frozen
class UnwritableTransaction:
    """A transaction that the columns do not make up: its index in the batch, and why."""

    index: int
    problem: SpanProblem


@attrs.frozen(kw_only=True)
class DataColumn:
    """The column as far as it makes sense: up to the first transaction that is `unwritable`, if one is."""

    datas: list[TransactionData]
    unwritable: UnwritableTransaction | None
    legacy: int
    """Number of legacy transactions, for the column of protected bits."""
    end: int


class _WrongFields(Exception):
    """A field is not what its type says."""


def read_datas(data: bytes, pos: int, count: int) -> DataColumn:
    """The column at `pos`. Raises `MalformedSpan` or `IndexError`.

    The hottest loop of derivation: the usual forms of headers and fields are written out here.
    """
    size = len(data)
    datas: list[TransactionData] = []
    add = datas.append
    unwritable: UnwritableTransaction | None = None
    legacy = 0
    step, least_in_int, least_in_string = _STEP, _LEAST_IN_INT, _LEAST_IN_STRING
    for index in range(count):
        kind = data[pos]
        if kind > 0x7F:
            kind = LEGACY
            legacy += 1
        else:
            pos += 1
            if kind == LEGACY:  # no type has this byte, but the transaction counts as a legacy one
                legacy += 1
                kind = _NO_TYPE
        header, head = pos, data[pos]
        if head == 0xF8 and data[pos + 1] > 55:
            pos += 2
            end = pos + data[pos - 1]
        elif 0xC0 <= head <= 0xF7:
            pos += 1
            end = pos + head - 0xC0
        elif head == 0xF9 and data[pos + 1]:
            pos += 3
            end = pos + (data[pos - 2] << 8 | data[pos - 1])
        else:
            pos, end = _long_list(data, pos)
        if end > size:
            raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
        try:
            head = data[pos]
            value = pos + step[head] if data[pos + 1] >= least_in_int[head] else _int_end(data, pos)
            head = data[value]
            fees = value + step[head] if data[value + 1] >= least_in_int[head] else _int_end(data, value)
            if kind >= DYNAMIC_FEE:
                head = data[fees]
                fees = fees + step[head] if data[fees + 1] >= least_in_int[head] else _int_end(data, fees)
            head = data[fees]
            if data[fees + 1] >= least_in_string[head]:
                rest = fees + step[head]
            elif head == 0xB8 and data[fees + 1] > 55:
                rest = fees + 2 + data[fees + 1]
            else:
                rest = _string_end(data, fees)
            if kind != LEGACY:
                rest = rest + 1 if data[rest] == 0xC0 else _access_list_end(data, rest)
                if kind > DYNAMIC_FEE:
                    rest = _set_code_end(data, pos, fees, rest) if kind == SET_CODE else -1
            if rest != end:
                raise _WrongFields
            add((kind, data[pos:value], data[value:fees], data[fees:end]))
        except (_WrongFields, IndexError):
            if kind == POST_EXEC:
                add((kind, b"", b"", data[header:end]))
            elif unwritable is None:
                problem = SpanProblem.DATA_FIELDS if kind in _TYPES else SpanProblem.UNKNOWN_TYPE
                unwritable = UnwritableTransaction(index, problem)
        pos = end
    return DataColumn(datas=datas, unwritable=unwritable, legacy=legacy, end=pos)


def _long_list(data: bytes, pos: int) -> tuple[int, int]:
    """Bounds of what is in the list at `pos`, whose size is given in bytes of its own."""
    if data[pos] < 0xC0:
        raise MalformedSpan(SpanProblem.DATA_NOT_LIST, pos)
    start = pos + data[pos] - 0xF6
    if start > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    size = int.from_bytes(data[pos + 1 : start], "big")
    if size < 56 or not data[pos + 1]:
        raise MalformedSpan(SpanProblem.DATA_HEADER, pos)
    if size > _MAX_DATA - (start - pos):
        raise MalformedSpan(SpanProblem.DATA_TOO_LONG, pos)
    return start, start + size


# How far a short item reaches, by its first byte; and the least that its second byte must be for the item to be
# canonical, 256 where a closer look is needed. A field that reaches beyond its list is noticed by the list's end.
_STEP: Final = bytes([1] * 0x81 + [head - 0x7F for head in range(0x81, 0xB8)] + [0] * 72)
_LEAST_IN_STRING: Final = (0,) * 0x81 + (0x80,) + (0,) * 54 + (256,) * 72
_LEAST_IN_INT: Final = (256,) + (0,) * 0x80 + (0x80,) + (1,) * 54 + (256,) * 72


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
    if head > 0xBF or (head == 0x81 and data[pos + 1] < 0x80):
        raise _WrongFields
    return pos + _STEP[head] if head < 0xB8 else _long_string(data, pos)[1]


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
        head, size = data[pos], data[pos + 1]
        if head == 0xF7 and data[pos + 22] == 0xE1:  # one key
            keys, after = pos + 23, pos + 56
            pos += 1
        elif head == 0xF8 and size > 55 and data[pos + 23] == 0xF8 and data[pos + 24] == size - 23 > 55:  # up to seven
            keys, after = pos + 25, pos + 2 + size
            pos += 2
        else:
            pos, after = _list_bounds(data, pos)
            keys, keys_end = _list_bounds(data, pos + 21)
            if keys_end != after:
                raise _WrongFields
        if data[pos] != 0x94 or (after - keys) % 33 or after > end:
            raise _WrongFields
        if data[keys:after:33].count(0xA0) * 33 != after - keys:
            raise _WrongFields
        pos = after
    return end


def _set_code_end(data: bytes, value: int, fees: int, access_list: int) -> int:
    """Of the fields of a set-code transaction, whose amounts have at most 256 bits.

    `value` is where the amounts begin, `fees` where they end; behind `access_list` stands
    `[[chain_id, address, nonce, y_parity, r, s], ...]`.
    """
    while value < fees:
        value = _int_end(data, value, _WORD)
    pos, end = _list_bounds(data, access_list)
    while pos < end:
        pos, after = _list_bounds(data, pos)
        pos = _int_end(data, pos, _WORD)
        if data[pos] != 0x94:
            raise _WrongFields
        pos = _int_end(data, pos + 21, 8)
        for size in (1, _WORD, _WORD):
            pos = _int_end(data, pos, size)
        if pos != after:
            raise _WrongFields
    if pos != end:
        raise _WrongFields
    return end
