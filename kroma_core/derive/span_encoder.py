"""Writing span batches: what a batcher does, and what tests feed the decoder with.

Spec: delta/span-batches.md, "Span batch format".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from kroma_core.codec.rlp import encode_list, split_list
from kroma_core.codec.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, SET_CODE, decode_transaction
from kroma_core.derive.batch_codec import SPAN
from kroma_core.derive.batches import SingularBatch, SpanBatch, SpanBlock
from kroma_core.derive.span_batch import SpanTerms

_POST_EXEC: Final = 0x7D
_WORD_SIZE: Final = 32


def span_of(batches: Sequence[SingularBatch]) -> SpanBatch:
    """Consecutive blocks as one span batch. Raises `ValueError` if there are none."""
    if not batches:
        raise ValueError("a span batch needs at least one block")
    return SpanBatch(
        parent_check=batches[0].parent_hash[:20],
        origin_check=batches[-1].epoch_hash[:20],
        blocks=tuple(
            SpanBlock(timestamp=batch.timestamp, epoch_number=batch.epoch_number, transactions=batch.transactions)
            for batch in batches
        ),
    )


def encode_span_batch(span: SpanBatch, terms: SpanTerms, *, first_of_epoch: bool) -> bytes:
    """A span batch with its type byte. `first_of_epoch` says whether its first block is the first of its epoch.

    Raises `DecodeError` for a transaction that is none, and `ValueError` for what a span batch cannot hold: other
    transactions, and epochs that go back or leave one out.
    """
    blocks = span.blocks
    steps = [block.epoch_number - before.epoch_number for before, block in pairwise(blocks)]
    if not set(steps) <= {0, 1}:
        raise ValueError(f"epochs of a span batch go on by 0 or 1, not by {sorted(set(steps))}")
    origin_bits = [first_of_epoch, *map(bool, steps)]
    columns = _Columns(terms.chain_id)
    for block in blocks:
        for raw in block.transactions:
            columns.add(raw)
    return b"".join(
        (
            bytes((SPAN,)),
            encode_uvarint(blocks[0].timestamp - terms.genesis_time),
            encode_uvarint(blocks[-1].epoch_number),
            span.parent_check,
            span.origin_check,
            encode_uvarint(len(blocks)),
            _encode_bits(origin_bits),
            *(encode_uvarint(len(block.transactions)) for block in blocks),
            columns.encode(),
        )
    )


def encode_uvarint(number: int) -> bytes:
    """A number of up to 64 bits, seven a byte, lowest first."""
    if not 0 <= number < 2**64:
        raise ValueError(f"{number} does not fit into 64 bits")
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _encode_bits(bits: Iterable[bool]) -> bytes:
    text = "".join("1" if bit else "0" for bit in bits)
    return int(text[::-1] or "0", 2).to_bytes((len(text) + 7) // 8, "big")


class _Columns:
    """The transactions' columns as they grow."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._creations: list[bool] = []
        self._parities: list[bool] = []
        self._signatures: list[bytes] = []
        self._receivers: list[bytes] = []
        self._datas: list[bytes] = []
        self._nonces: list[bytes] = []
        self._gas_limits: list[bytes] = []
        self._protected: list[bool] = []

    def add(self, raw: bytes) -> None:
        if raw[:1] == bytes((_POST_EXEC,)):
            self._add_columns(None, 0, bytes(2 * _WORD_SIZE), raw, 0, 0)
            return
        transaction = decode_transaction(raw)
        kind = transaction.type
        if kind == LEGACY:
            _, price, _, _, value, data, *_ = split_list(raw)
            fields = encode_list((value, price, data))
            self._protected.append(transaction.chain_id is not None)
        elif kind == ACCESS_LIST:
            _, _, price, _, _, value, data, access_list, *_ = split_list(raw[1:])
            fields = raw[:1] + encode_list((value, price, data, access_list))
        elif kind == DYNAMIC_FEE:
            _, _, tip, cap, _, _, value, data, access_list, *_ = split_list(raw[1:])
            fields = raw[:1] + encode_list((value, tip, cap, data, access_list))
        elif kind == SET_CODE:
            _, _, tip, cap, _, _, value, data, access_list, authorizations, *_ = split_list(raw[1:])
            fields = raw[:1] + encode_list((value, tip, cap, data, access_list, authorizations))
        else:
            raise ValueError(f"transaction of type {kind} cannot stand in a span batch")
        if not transaction.signed_for(self._chain_id):
            raise ValueError(f"transaction of chain {transaction.chain_id} in a span batch of chain {self._chain_id}")
        parity = transaction.y_parity
        if parity not in (0, 1):
            raise ValueError(f"transaction 0x{transaction.hash.hex()} has signature value v = {transaction.v}")
        if max(transaction.r, transaction.s) >> 256:
            raise ValueError(f"transaction 0x{transaction.hash.hex()} has a signature beyond 256 bits")
        signature = transaction.r.to_bytes(_WORD_SIZE, "big") + transaction.s.to_bytes(_WORD_SIZE, "big")
        self._add_columns(transaction.to, parity, signature, fields, transaction.nonce, transaction.gas)

    def _add_columns(
        self, receiver: bytes | None, parity: int, signature: bytes, data: bytes, nonce: int, gas_limit: int
    ) -> None:
        self._creations.append(receiver is None)
        self._parities.append(bool(parity))
        self._signatures.append(signature)
        if receiver is not None:
            self._receivers.append(receiver)
        self._datas.append(data)
        self._nonces.append(encode_uvarint(nonce))
        self._gas_limits.append(encode_uvarint(gas_limit))

    def encode(self) -> bytes:
        return b"".join(
            (
                _encode_bits(self._creations),
                _encode_bits(self._parities),
                *self._signatures,
                *self._receivers,
                *self._datas,
                *self._nonces,
                *self._gas_limits,
                _encode_bits(self._protected),
            )
        )
