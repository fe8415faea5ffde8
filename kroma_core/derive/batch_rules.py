"""Which batches may extend the safe chain: the rules in the order in which the reference client applies them.

A verdict depends on the L1 blocks known so far, on the safe head, on the L1 block that carried the batch, and (for a
span batch that overlaps the safe chain) on L2 blocks. The order matters: it decides between dropped and undecided.

Spec: derivation.md, "Batch Queue"; delta/span-batches.md, "Batch Queue"; holocene/derivation.md,
"Span Batches", "Batch Queue".
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Sequence
from typing import Final

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.batches import SingularBatch, SpanBatch, SpanBlock
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.errors import DecodeError
from kroma_core.events import Number, Outcome
from kroma_core.forks import Rules
from kroma_core.l2 import Payload
from kroma_core.types import L1Ref, L2Number, L2Ref

_DEPOSIT_TYPE: Final = 0x7E
_SET_CODE_TYPE: Final = 0x04
_POST_EXEC_TYPE: Final = 0x7D


class BatchReason(enum.StrEnum):
    """Why a batch got its verdict."""

    VALID = "valid"
    NO_L1_BLOCKS = "no L1 block is known yet"
    FUTURE = "timestamp after that of the next block"
    PAST = "no block after the safe head"
    WRONG_PARENT = "parent hash is not that of the chain"
    TOO_LATE = "included after the end of the sequencing window"
    EPOCH_TOO_OLD = "epoch before that of its parent"
    EPOCH_TOO_NEW = "epoch more than one after that of its parent"
    NEXT_EPOCH_UNKNOWN = "the next epoch's L1 block is not known yet"
    EPOCH_HASH = "epoch hash is not that of the L1 chain"
    BEFORE_EPOCH = "timestamp before that of its epoch"
    FORK_BLOCK_NOT_EMPTY = "transactions in the first block of an upgrade"
    DRIFT_WITH_TRANSACTIONS = "transactions past the sequencer's time drift"
    DRIFT_EPOCH_KEPT = "past the sequencer's time drift although the next epoch could be adopted"
    DRIFT_UNKNOWN = "past the sequencer's time drift, and the next epoch's L1 block is not known yet"
    EMPTY_TRANSACTION = "empty transaction"
    DEPOSIT_TRANSACTION = "deposit transaction"
    SET_CODE_TRANSACTION = "set-code transaction before its upgrade"
    POST_EXEC_TRANSACTION = "post-execution transaction before its upgrade"
    SPAN_TOO_EARLY = "span batch with an epoch before its upgrade"
    MISALIGNED = "timestamp between two blocks"
    L2_BLOCK_UNKNOWN = "a block of the safe chain is not available"
    END_EPOCH_UNKNOWN = "the L1 block of the last epoch is not known yet"
    EPOCH_UNKNOWN = "the L1 block of an epoch is not known"
    OVERLAP_TRANSACTIONS = "transactions differ from those of the safe chain"
    OVERLAP_EPOCH = "epoch differs from that of the safe chain"
    OVERLAP_NO_L1_INFO = "the safe block has no L1 attributes"


_BATCH_QUEUE = 'derivation.md, "Batch Queue"'
_SPAN_RULES = 'delta/span-batches.md, "Batch Queue"'

RULE: Final[dict[BatchReason, str]] = {
    **dict.fromkeys(BatchReason, _BATCH_QUEUE),
    BatchReason.PAST: 'holocene/derivation.md, "Batch Queue"',
    BatchReason.FORK_BLOCK_NOT_EMPTY: 'jovian/derivation.md, "Activation Block Rules"',
    BatchReason.SET_CODE_TRANSACTION: 'isthmus/derivation.md, "Span Batch Updates"',
    BatchReason.POST_EXEC_TRANSACTION: "op-node v1.19.6, derive/batches.go: no page of the specification has it",
    BatchReason.SPAN_TOO_EARLY: 'delta/span-batches.md, "Span Batch Activation Rule"',
    BatchReason.MISALIGNED: _SPAN_RULES,
    BatchReason.L2_BLOCK_UNKNOWN: _SPAN_RULES,
    BatchReason.END_EPOCH_UNKNOWN: _SPAN_RULES,
    BatchReason.EPOCH_UNKNOWN: _SPAN_RULES,
    BatchReason.OVERLAP_TRANSACTIONS: _SPAN_RULES,
    BatchReason.OVERLAP_EPOCH: _SPAN_RULES,
    BatchReason.OVERLAP_NO_L1_INFO: _SPAN_RULES,
}
"""Where each reason's rule stands."""


@attrs.frozen
class BatchVerdict:
    """What becomes of a batch for now, and the numbers that decided it."""

    outcome: Outcome
    reason: BatchReason
    numbers: tuple[tuple[str, Number], ...] = ()


SpanCheck = Generator[L2Number, Payload | None, BatchVerdict]
"""A check that may ask for blocks of the safe chain, by number; None says that the block is not to be had."""

_ACCEPTED: Final = BatchVerdict(Outcome.ACCEPTED, BatchReason.VALID)


def _drop(reason: BatchReason, **numbers: Number) -> BatchVerdict:
    return BatchVerdict(Outcome.DROPPED, reason, tuple(numbers.items()))


def _undecided(reason: BatchReason, **numbers: Number) -> BatchVerdict:
    return BatchVerdict(Outcome.UNDECIDED, reason, tuple(numbers.items()))


def check_singular(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SingularBatch, inclusion: L1Ref
) -> BatchVerdict:
    """Judge a singular batch on top of `safe`.

    `l1_blocks` are consecutive, the first being the epoch of `safe` (or already the one after it); `inclusion` is the
    L1 block in which the batch's channel became readable.
    """
    rollup = config.rollup
    if not l1_blocks:
        return _undecided(BatchReason.NO_L1_BLOCKS)
    epoch = l1_blocks[0]
    timestamp = batch.timestamp

    next_time = safe.timestamp + rollup.block_time
    if timestamp != next_time:
        return _off_time(config, inclusion, timestamp, timestamp, next_time)
    if batch.parent_hash != safe.hash:
        return _drop(BatchReason.WRONG_PARENT, parent=batch.parent_hash, expected=safe.hash)
    number = batch.epoch_number
    if number + rollup.seq_window_size < inclusion.number:
        return _drop(BatchReason.TOO_LATE, epoch=number, window=rollup.seq_window_size, inclusion=inclusion.number)
    if number < epoch.number:
        return _drop(BatchReason.EPOCH_TOO_OLD, epoch=number, expected=epoch.number)
    if number > epoch.number + 1:
        return _drop(BatchReason.EPOCH_TOO_NEW, epoch=number, expected=epoch.number)
    origin = epoch
    if number == epoch.number + 1:
        if len(l1_blocks) < 2:
            return _undecided(BatchReason.NEXT_EPOCH_UNKNOWN, epoch=number)
        origin = l1_blocks[1]

    if batch.epoch_hash != origin.hash:
        return _drop(BatchReason.EPOCH_HASH, epoch=number, hash=batch.epoch_hash, expected=origin.hash)
    if timestamp < origin.timestamp:
        return _drop(BatchReason.BEFORE_EPOCH, timestamp=timestamp, origin_time=origin.timestamp)
    transactions = batch.transactions
    schedule = rollup.schedule
    if transactions and schedule.first_block_is_empty(timestamp):
        return _drop(BatchReason.FORK_BLOCK_NOT_EMPTY, timestamp=timestamp, transactions=len(transactions))

    drifted = _drift(
        config,
        origin,
        l1_blocks[1] if len(l1_blocks) > 1 else None,
        timestamp,
        has_transactions=bool(transactions),
        epoch_advances=origin is not epoch,
    )
    if drifted is not None:
        return drifted
    return _check_transactions(transactions, schedule.at(timestamp)) or _ACCEPTED


def check_span(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SpanBatch, inclusion: L1Ref
) -> SpanCheck:
    """Judge a span batch as a whole, as before strict order. Arguments as for `check_singular`."""
    verdict, parent = yield from _check_prefix(config, l1_blocks, safe, batch, inclusion)
    if parent is None:
        return verdict
    verdict = _check_new_blocks(config, l1_blocks, safe, batch, parent)
    if verdict.outcome is not Outcome.ACCEPTED:
        return verdict
    return (yield from _check_overlap(config, safe, batch, parent))


def check_span_in_strict_order(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SpanBatch, inclusion: L1Ref
) -> SpanCheck:
    """Judge a span batch before it is taken apart: its blocks are judged one by one, as singular batches, later.

    Compares the overlap with the safe chain as the reference client does since v1.19; older ones stop at the prefix.
    Spec: holocene/derivation.md, "Span Batches".
    """
    verdict, parent = yield from _check_prefix(config, l1_blocks, safe, batch, inclusion)
    if parent is None:
        return verdict
    return (yield from _check_overlap(config, safe, batch, parent))


def check_span_prefix(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SpanBatch, inclusion: L1Ref
) -> SpanCheck:
    """The rules on a span batch that need none of its blocks but the first and the last."""
    return (yield from _check_prefix(config, l1_blocks, safe, batch, inclusion))[0]


def _off_time(config: ChainConfig, inclusion: L1Ref, first: int, last: int, next_time: int) -> BatchVerdict:
    """Verdict on a batch that begins after the next block's time, or ends before it."""
    numbers: tuple[tuple[str, Number], ...] = (("first", first), ("last", last), ("next", next_time))
    strict = config.rollup.schedule.at(inclusion.timestamp).strict_order
    if first > next_time:
        return BatchVerdict(Outcome.DROPPED if strict else Outcome.FUTURE, BatchReason.FUTURE, numbers)
    return BatchVerdict(Outcome.PAST if strict else Outcome.DROPPED, BatchReason.PAST, numbers)


def _drift(
    config: ChainConfig,
    origin: L1Ref,
    next_origin: L1Ref | None,
    timestamp: int,
    *,
    has_transactions: bool,
    epoch_advances: bool,
) -> BatchVerdict | None:
    """The rule on the sequencer's time drift; None if it does not object.

    An empty block may exceed the drift if it adopts a new epoch, or if it could not: L2 time may not stand still.
    """
    fixed = config.rollup.schedule.at(origin.timestamp).fixed_sequencer_drift
    drift = config.rollup.max_sequencer_drift if fixed is None else fixed
    latest = origin.timestamp + drift
    if timestamp <= latest:
        return None
    if has_transactions:
        return _drop(BatchReason.DRIFT_WITH_TRANSACTIONS, timestamp=timestamp, latest=latest)
    if epoch_advances:
        return None
    if next_origin is None:
        return _undecided(BatchReason.DRIFT_UNKNOWN, timestamp=timestamp, latest=latest)
    if timestamp >= next_origin.timestamp:
        return _drop(BatchReason.DRIFT_EPOCH_KEPT, timestamp=timestamp, next_epoch_time=next_origin.timestamp)
    return None


def _check_transactions(transactions: Sequence[bytes], rules: Rules) -> BatchVerdict | None:
    """The rules on the first byte of the sequencer's transactions; None if they do not object."""
    for index, transaction in enumerate(transactions):
        if not transaction:
            return _drop(BatchReason.EMPTY_TRANSACTION, index=index)
        kind = transaction[0]
        if kind == _DEPOSIT_TYPE:
            return _drop(BatchReason.DEPOSIT_TRANSACTION, index=index)
        if kind == _SET_CODE_TYPE and not rules.set_code_transactions:
            return _drop(BatchReason.SET_CODE_TRANSACTION, index=index)
        if kind == _POST_EXEC_TYPE and not rules.post_exec_transactions:
            return _drop(BatchReason.POST_EXEC_TRANSACTION, index=index)
    return None


def _check_prefix(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SpanBatch, inclusion: L1Ref
) -> Generator[L2Number, Payload | None, tuple[BatchVerdict, L2Ref | None]]:
    """The prefix rules; with an accepted batch, the block that its first block follows."""
    rollup = config.rollup
    if not l1_blocks:
        return _undecided(BatchReason.NO_L1_BLOCKS), None
    first, last = batch.blocks[0], batch.blocks[-1]
    start_epoch = first.epoch_number

    origin = l1_blocks[0]
    if start_epoch == origin.number + 1:
        if len(l1_blocks) < 2:
            return _undecided(BatchReason.NEXT_EPOCH_UNKNOWN, epoch=start_epoch), None
        origin = l1_blocks[1]
    if not rollup.schedule.at(origin.timestamp).span_batches:
        return _drop(BatchReason.SPAN_TOO_EARLY, epoch=origin.number, epoch_time=origin.timestamp), None

    next_time = safe.timestamp + rollup.block_time
    if first.timestamp > next_time or last.timestamp < next_time:
        return _off_time(config, inclusion, first.timestamp, last.timestamp, next_time), None

    parent = safe
    if first.timestamp < next_time:
        behind = safe.timestamp - first.timestamp
        if behind < 0 or behind % rollup.block_time:
            return _drop(BatchReason.MISALIGNED, timestamp=first.timestamp, safe_time=safe.timestamp), None
        parent_number = L2Number(safe.number - behind // rollup.block_time - 1)
        found = None
        if parent_number >= rollup.genesis.l2.number:
            payload = yield parent_number
            found = None if payload is None else _ref(payload, config)
        if found is None:
            return _undecided(BatchReason.L2_BLOCK_UNKNOWN, number=parent_number), None
        parent = found
    if parent.hash[:20] != batch.parent_check:
        return _drop(BatchReason.WRONG_PARENT, parent=batch.parent_check, expected=parent.hash), None
    if start_epoch + rollup.seq_window_size < inclusion.number:
        late = _drop(BatchReason.TOO_LATE, epoch=start_epoch, window=rollup.seq_window_size, inclusion=inclusion.number)
        return late, None
    if start_epoch > parent.l1_origin.number + 1:
        return _drop(BatchReason.EPOCH_TOO_NEW, epoch=start_epoch, expected=parent.l1_origin.number), None

    end = last.epoch_number - l1_blocks[0].number
    if not 0 <= end < len(l1_blocks):
        return _undecided(BatchReason.END_EPOCH_UNKNOWN, epoch=last.epoch_number), None
    end_hash = l1_blocks[end].hash
    if end_hash[:20] != batch.origin_check:
        wrong = _drop(BatchReason.EPOCH_HASH, epoch=last.epoch_number, hash=batch.origin_check, expected=end_hash)
        return wrong, None
    if start_epoch < parent.l1_origin.number:
        return _drop(BatchReason.EPOCH_TOO_OLD, epoch=start_epoch, expected=parent.l1_origin.number), None
    return _ACCEPTED, parent


def _check_new_blocks(
    config: ChainConfig, l1_blocks: Sequence[L1Ref], safe: L2Ref, batch: SpanBatch, parent: L2Ref
) -> BatchVerdict:
    """The rules on each block of a span batch that comes after the safe head."""
    schedule = config.rollup.schedule
    first_known = l1_blocks[0].number
    found = 0
    previous = parent.l1_origin.number
    for block in batch.blocks:
        epoch = block.epoch_number
        advances = epoch == previous + 1 if block is batch.blocks[0] else epoch > previous
        previous = epoch
        timestamp = block.timestamp
        if timestamp <= safe.timestamp:
            continue
        if epoch < safe.l1_origin.number:
            return _drop(BatchReason.EPOCH_TOO_OLD, epoch=epoch, expected=safe.l1_origin.number, timestamp=timestamp)
        index = epoch - first_known
        if not found <= index < len(l1_blocks):
            return _drop(BatchReason.EPOCH_UNKNOWN, epoch=epoch, timestamp=timestamp)
        found = index
        origin = l1_blocks[index]
        if timestamp < origin.timestamp:
            return _drop(BatchReason.BEFORE_EPOCH, timestamp=timestamp, origin_time=origin.timestamp)
        drifted = _drift(
            config,
            origin,
            l1_blocks[index + 1] if index + 1 < len(l1_blocks) else None,
            timestamp,
            has_transactions=bool(block.transactions),
            epoch_advances=advances,
        )
        if drifted is not None:
            return drifted
        bad = _check_transactions(block.transactions, schedule.at(timestamp))
        if bad is not None:
            return attrs.evolve(bad, numbers=(*bad.numbers, ("timestamp", timestamp)))
    return _ACCEPTED


def _check_overlap(config: ChainConfig, safe: L2Ref, batch: SpanBatch, parent: L2Ref) -> SpanCheck:
    """Whether the blocks of a span batch that the safe chain has already say the same as the safe chain."""
    for block, number in zip(batch.blocks, range(parent.number + 1, safe.number + 1), strict=False):
        payload = yield L2Number(number)
        if payload is None:
            return _undecided(BatchReason.L2_BLOCK_UNKNOWN, number=number)
        different = _compare(config, block, payload)
        if different is not None:
            return different
    return _ACCEPTED


def _compare(config: ChainConfig, block: SpanBlock, payload: Payload) -> BatchVerdict | None:
    deposits = sum(1 for transaction in payload.transactions if transaction[:1] == b"\x7e")
    if payload.transactions[deposits:] != block.transactions:
        return _drop(
            BatchReason.OVERLAP_TRANSACTIONS,
            number=payload.number,
            transactions=len(block.transactions),
            expected=len(payload.transactions) - deposits,
        )
    ref = _ref(payload, config)
    if ref is None:
        return _drop(BatchReason.OVERLAP_NO_L1_INFO, number=payload.number)
    if ref.l1_origin.number != block.epoch_number:
        return _drop(
            BatchReason.OVERLAP_EPOCH,
            number=payload.number,
            epoch=block.epoch_number,
            expected=ref.l1_origin.number,
        )
    return None


def _ref(payload: Payload, config: ChainConfig) -> L2Ref | None:
    try:
        return l2_ref(payload, config)
    except DecodeError:
        return None
