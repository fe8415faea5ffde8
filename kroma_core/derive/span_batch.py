"""Reading span batches: many L2 blocks in columns, their transactions taken apart field by field.

    span         = rel_timestamp l1_origin_num parent_check l1_origin_check
                   block_count origin_bits block_tx_counts transactions
    transactions = creation_bits parity_bits signatures receivers datas nonces gas_limits protected_bits

The reference reads in two steps, and the difference is consensus: what fails while the columns are read ends the
channel (`Malformed`); what fails while transactions are put together voids this batch alone (`UnusableBatch`). Bytes
behind the last column are ignored. Spec: delta/span-batches.md, "Span batch format".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import attrs

from kroma_core.chain.config import RollupConfig
from kroma_core.derive.batches import SpanBatch, SpanBlock
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_transactions import (
    MalformedSpan,
    SpanProblem,
    UnwritableTransaction,
    read_bits,
    read_transactions,
    read_uvarint,
)
from kroma_core.types import L1Number, Timestamp

MAX_SPAN_ELEMENTS: Final = 10_000_000
"""Limit of the number of blocks, of transactions in a block, and of transactions in all."""

SPAN_RULE: Final = 'delta/span-batches.md, "Span batch format"'

_U64 = 2**64


class UnusableReason(enum.StrEnum):
    """Why a well-formed span batch means nothing."""

    TOO_EARLY = "span batches are not read yet"
    TRANSACTION = "one of its transactions cannot be put together"


@attrs.frozen
class UnusableBatch:
    """A batch that is skipped; those behind it in the channel still count."""

    reason: UnusableReason
    transaction: UnwritableTransaction | None = None


@attrs.frozen(kw_only=True)
class SpanTerms:
    """What a span batch leaves out because the chain's configuration has it."""

    chain_id: int
    genesis_time: Timestamp
    block_time: int

    @classmethod
    def of(cls, config: RollupConfig) -> SpanTerms:
        return cls(chain_id=config.l2_chain_id, genesis_time=config.genesis.l2_time, block_time=config.block_time)


def decode_span_content(content: bytes, terms: SpanTerms) -> SpanBatch | Malformed | UnusableBatch:
    """The batch in what follows the type byte."""
    try:
        return _decode(content, terms)
    except MalformedSpan as error:
        return Malformed(error.problem, error.offset)
    except IndexError:
        return Malformed(SpanProblem.CUT_SHORT, len(content))


def _decode(data: bytes, terms: SpanTerms) -> SpanBatch | UnusableBatch:
    since_genesis, pos = read_uvarint(data, 0)
    last_epoch, pos = read_uvarint(data, pos)
    parent_check, origin_check = data[pos : pos + 20], data[pos + 20 : pos + 40]
    count, pos = read_uvarint(data, pos + 40)
    if not count:
        raise MalformedSpan(SpanProblem.NO_BLOCKS, pos)
    if count > MAX_SPAN_ELEMENTS:
        raise MalformedSpan(SpanProblem.TOO_MANY, pos)
    if pos + count > len(data):
        raise MalformedSpan(SpanProblem.CUT_SHORT, pos)
    origin_bits, pos = read_bits(data, pos, count)
    sizes, pos = _transaction_counts(data, pos, count)
    total = sum(sizes)
    if total > MAX_SPAN_ELEMENTS:
        raise MalformedSpan(SpanProblem.TOO_MANY, pos)
    transactions = read_transactions(data, pos, total, terms.chain_id)
    if isinstance(transactions, UnwritableTransaction):
        return UnusableBatch(UnusableReason.TRANSACTION, transactions)
    epochs = _epochs(origin_bits, last_epoch)
    blocks: list[SpanBlock] = []
    add = blocks.append
    time = terms.genesis_time + since_genesis
    first = 0
    for epoch, size in zip(epochs, sizes, strict=True):
        after = first + size
        add(
            SpanBlock(
                timestamp=Timestamp(time % _U64),
                epoch_number=L1Number(epoch),
                transactions=tuple(transactions[first:after]),
            )
        )
        time += terms.block_time
        first = after
    return SpanBatch(parent_check=parent_check, origin_check=origin_check, blocks=tuple(blocks))


def _transaction_counts(data: bytes, pos: int, count: int) -> tuple[Sequence[int], int]:
    """Transactions of each block, and where the column ends."""
    column = data[pos : pos + count]
    if len(column) == count and column.isascii():  # all below 128, as in nearly every batch
        return column, pos + count
    counts: list[int] = []
    for _ in range(count):
        number, pos = read_uvarint(data, pos)
        if number > MAX_SPAN_ELEMENTS:
            raise MalformedSpan(SpanProblem.TOO_MANY, pos)
        counts.append(number)
    return counts, pos


def _epochs(origin_bits: str, last: int) -> list[int]:
    """Epoch number of each block. A set bit says that the epoch is one above that of the block before; the bit of the
    first block is not needed. Numbers wrap around at 2^64, as the reference's do."""
    number = last - origin_bits.count("1", 1)
    epochs = [number % _U64]
    add = epochs.append
    for bit in origin_bits[1:]:
        if bit == "1":
            number += 1
        add(number % _U64)
    return epochs
