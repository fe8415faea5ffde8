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
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice
from typing import Final, cast

import attrs

from kroma_core.chain.config import RollupConfig
from kroma_core.derive.batches import SpanBatch, SpanBlock
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_columns import MalformedSpan, SpanProblem, read_bits, read_uvarint
from kroma_core.derive.span_datas import UnwritableTransaction
from kroma_core.derive.span_transactions import read_transactions
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


def decode_span_content(data: bytes, pos: int, terms: SpanTerms) -> SpanBatch | Malformed | UnusableBatch:
    """The batch in what follows the type byte, from `pos` to the end of `data`."""
    try:
        return _decode(data, pos, terms)
    except MalformedSpan as error:
        return Malformed(error.problem, error.offset)
    except IndexError:
        return Malformed(SpanProblem.CUT_SHORT, len(data))


def _decode(data: bytes, pos: int, terms: SpanTerms) -> SpanBatch | UnusableBatch:
    since_genesis, pos = read_uvarint(data, pos)
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
    following = iter(transactions)
    blocks = [
        SpanBlock(timestamp=time, epoch_number=epoch, transactions=tuple(islice(following, size)))
        for time, epoch, size in zip(
            _times(terms.genesis_time + since_genesis, terms.block_time, count),
            _epochs(origin_bits, last_epoch),
            sizes,
            strict=True,
        )
    ]
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


def _times(first: int, block_time: int, count: int) -> Iterable[Timestamp]:
    """Time of each block, modulo 2^64."""
    times: Iterable[int] = range(first, first + count * block_time, block_time)
    if first + count * block_time >= _U64:
        times = (time % _U64 for time in times)
    return cast(Iterable[Timestamp], times)


def _epochs(origin_bits: str, last: int) -> Iterable[L1Number]:
    """Epoch number of each block, modulo 2^64. A set bit says that the epoch is one above that of the block before; the
    bit of the first block is not needed."""
    first = last - origin_bits.count("1", 1)
    steps = map(int, origin_bits[1:])
    epochs: Iterable[int] = accumulate(steps, initial=first)
    if first < 0:
        epochs = (epoch % _U64 for epoch in epochs)
    return cast(Iterable[L1Number], epochs)
