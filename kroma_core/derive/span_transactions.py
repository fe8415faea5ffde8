"""The transactions of a span batch: read from their columns, and written out as each stands in a block.

Written for speed: what is canonical RLP already is sliced out and joined again, columns of equal items are spread out
all at once, and numbers that repeat are looked up.
Spec: delta/span-batches.md, "Span batch format"; isthmus/derivation.md, "Span Batch Updates".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from kroma_core.codec.rlp import EMPTY_STRING, encode_bytes, encode_int, list_header
from kroma_core.codec.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, SET_CODE
from kroma_core.derive.span_columns import MalformedSpan, SpanProblem, read_bits, read_encoded_uvarints
from kroma_core.derive.span_datas import POST_EXEC, TransactionData, UnwritableTransaction, read_datas

_SIGNATURE_SIZE: Final = 64
_WORD_SIZE: Final = 32
_RECEIVER_SIZE: Final = 20
_PARITY_TO_RLP: Final = bytes.maketrans(b"01", b"\x80\x01")
_RECEIVER: Final = struct.Struct("21s")
_SIGNATURE: Final = struct.Struct("67s")


def read_transactions(data: bytes, pos: int, count: int, chain_id: int) -> list[bytes] | UnwritableTransaction:
    """The `count` transactions whose columns begin at `pos`.

    Raises `MalformedSpan` or `IndexError` for what ends the channel, also when a transaction is unwritable.
    """
    if pos + _SIGNATURE_SIZE * count > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    creations, pos = read_bits(data, pos, count)
    parities, pos = read_bits(data, pos, count)
    receivers_at = pos + _SIGNATURE_SIZE * count
    datas_at = receivers_at + _RECEIVER_SIZE * creations.count("0")
    if datas_at > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    column = read_datas(data, datas_at, count)
    numbers, after = read_encoded_uvarints(data, column.end, 2 * count)
    protected, _ = read_bits(data, after, column.legacy)
    if column.unwritable is not None:
        return column.unwritable
    if "1" in creations:
        for index, (kind, *_) in enumerate(column.datas):
            if kind == SET_CODE and creations[index] == "1":
                return UnwritableTransaction(index, SpanProblem.SET_CODE_CREATION)
    columns = zip(
        column.datas,
        numbers[:count],
        numbers[count:],
        _receivers(data[receivers_at:datas_at], creations),
        _signatures(data[pos:receivers_at], parities),
        strict=True,
    )
    return _write(columns, iter(protected), chain_id)


def _receivers(column: bytes, creations: str) -> list[bytes]:
    """Each transaction's receiver in RLP; those that create a contract have none."""
    spread = bytearray(b"\x94" * (len(column) // _RECEIVER_SIZE * _RECEIVER.size))
    for place in range(_RECEIVER_SIZE):
        spread[1 + place :: _RECEIVER.size] = column[place::_RECEIVER_SIZE]
    receivers = [receiver for (receiver,) in _RECEIVER.iter_unpack(spread)]
    if "1" not in creations:
        return receivers
    following = iter(receivers)
    return [EMPTY_STRING if creates == "1" else next(following) for creates in creations]


def _signatures(column: bytes, parities: str) -> list[bytes]:
    """Parity, r and s of each transaction in RLP."""
    spread = bytearray(b"\xa0" * (len(parities) * _SIGNATURE.size))
    spread[:: _SIGNATURE.size] = parities.encode().translate(_PARITY_TO_RLP)
    for place in range(_WORD_SIZE):
        spread[2 + place :: _SIGNATURE.size] = column[place::_SIGNATURE_SIZE]
        spread[35 + place :: _SIGNATURE.size] = column[_WORD_SIZE + place :: _SIGNATURE_SIZE]
    signatures = [signature for (signature,) in _SIGNATURE.iter_unpack(spread)]
    for start in (0, _WORD_SIZE):  # words with leading zeros are shorter in RLP
        first_bytes = column[start::_SIGNATURE_SIZE]
        index = first_bytes.find(0)
        while index >= 0:
            signature = column[index * _SIGNATURE_SIZE : (index + 1) * _SIGNATURE_SIZE]
            r, s = signature[:_WORD_SIZE].lstrip(b"\0"), signature[_WORD_SIZE:].lstrip(b"\0")
            signatures[index] = signatures[index][:1] + encode_bytes(r) + encode_bytes(s)
            index = first_bytes.find(0, index + 1)
    return signatures


def _write(
    columns: Iterable[tuple[TransactionData, bytes, bytes, bytes, bytes]], protected: Iterator[str], chain_id: int
) -> list[bytes]:
    """Put every transaction together from its data, nonce, gas limit, receiver, and (parity, r, s)."""
    transactions: list[bytes] = []
    add = transactions.append
    join = b"".join
    chain = encode_int(chain_id)
    headers = {kind: _headers(kind, chain) for kind in (LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE)}
    legacy_v = {
        "0": {0x80: encode_int(27), 0x01: encode_int(28)},
        "1": {0x80: encode_int(2 * chain_id + 35), 0x01: encode_int(2 * chain_id + 36)},
    }
    for (kind, value, fees, rest), nonce, gas, receiver, signature in columns:
        if kind == LEGACY:
            v = legacy_v[next(protected)][signature[0]]
            body = join((nonce, fees, gas, receiver, value, rest, v, signature[1:]))
        elif kind == POST_EXEC:
            add(bytes((POST_EXEC,)) + rest)
            continue
        else:
            body = join((nonce, fees, gas, receiver, value, rest, signature))
        size = len(body)
        header = headers[kind]
        add((header[size] if size < _HEADERS else _header(kind, chain, size)) + body)
    return transactions


_HEADERS: Final = 1024
"""How many headers are looked up; for longer transactions they are made."""


def _header(kind: int, chain: bytes, size: int) -> bytes:
    """What stands before the nonce: type, size of the list, chain id; `size` counts what follows."""
    if kind == LEGACY:
        return list_header(size)
    return bytes((kind,)) + list_header(len(chain) + size) + chain


@lru_cache(maxsize=32)
def _headers(kind: int, chain: bytes) -> tuple[bytes, ...]:
    return tuple(_header(kind, chain, size) for size in range(_HEADERS))
