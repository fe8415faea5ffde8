"""The L1 blocks that the next L2 blocks may have as their epoch, and what both batch stages do with them.

The window begins at the epoch of the safe head (or the one after it) and ends at the L1 block that is being read. Both
stages also share the blocks of a span batch that was taken apart, and the empty batches that are forced once the
sequencing window of an epoch has passed.

Spec: derivation.md, "Batch Queue"; holocene/derivation.md, "Batch Queue".
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.batch_rules import RULE, BatchReason, BatchVerdict
from kroma_core.derive.batches import Batch, SingularBatch, SpanBatch, SpanBlock
from kroma_core.derive.steps import BatchKind
from kroma_core.errors import ResetError
from kroma_core.events import BatchPlace, Number, Outcome, Subject, Verdict
from kroma_core.types import Hash32, L1Ref, L2Ref, Timestamp


class Waiting(enum.Enum):
    """Why a stage has no batch."""

    MORE = "more"
    """It made progress: ask again."""
    EXHAUSTED = "exhausted"
    """All data up to the current L1 block have been read."""


@attrs.frozen(kw_only=True)
class NextBatch:
    """A batch that the next L2 block is made of, and where it was read; a forced one was nowhere.

    `concludes`: with it the safe head moves up to this block.
    """

    batch: SingularBatch
    kind: BatchKind
    concludes: bool
    place: BatchPlace | None = None


Pull: TypeAlias = Callable[[], Batch | Waiting]
"""Takes the next batch out of the channels; `EXHAUSTED` until the next L1 block comes."""

Report: TypeAlias = Callable[[Verdict], None]

_FORCED_RULE: Final = 'derivation.md, "Batch Queue"'


class WindowReason(enum.StrEnum):
    """Verdicts of the stages themselves."""

    WINDOW_EXPIRED = "the epoch's sequencing window has passed: an empty block is forced"
    PARENT_CHANGED = "an earlier block of the span batch was not accepted"
    STRICT_ORDER = "queued when order became strict"


class EpochWindow:
    """`blocks` are consecutive; `origin` is the L1 block that is being read. Both follow the pipeline by `update`."""

    def __init__(self, config: ChainConfig, origin: L1Ref, report: Report) -> None:
        self._config = config
        self._report = report
        self._span: deque[tuple[SpanBlock, Hash32]] = deque()
        """Blocks of a span batch that are still to come, each with the hash of its epoch."""
        self._span_place: BatchPlace | None = None
        self.place: BatchPlace | None = None
        """Where the batch was read that was pulled last."""
        self.origin = origin
        self.blocks: list[L1Ref] = [origin]

    @property
    def span_place(self) -> BatchPlace | None:
        """Where the span batch was read that is being used."""
        return self._span_place

    def is_behind(self, origin: L1Ref, parent: L2Ref) -> bool:
        """Whether L1 has not been read up to the parent's epoch: no batch there can be new."""
        return origin.number < parent.l1_origin.number

    def update(self, origin: L1Ref, parent: L2Ref) -> None:
        """Take up the L1 block being read, and let go of those before the parent's epoch."""
        if self.origin != origin:
            self.origin = origin
            if self.is_behind(origin, parent):
                self.blocks.clear()
            else:
                self.blocks.append(origin)
        if self.blocks:
            passed = parent.l1_origin.number - self.blocks[0].number
            if 0 < passed < len(self.blocks):
                del self.blocks[:passed]

    def expect_continuity(self, parent: L2Ref) -> L1Ref:
        """The current epoch. Raises `ResetError` if it is neither that of `parent` nor may follow it.

        It is one ahead of the parent's when all blocks of that one have been forced.
        """
        epoch = self.blocks[0]
        if epoch.id != parent.l1_origin and epoch.number != parent.l1_origin.number + 1:
            raise ResetError(f"L1 block {epoch.id} was read, but L2 block {parent.id} has L1 origin {parent.l1_origin}")
        return epoch

    def forced_batch(self, parent: L2Ref, *, out_of_data: bool) -> SingularBatch | None:
        """The empty batch that is due when the sequencing window of the current epoch has passed.

        Every epoch gets one block at least; further ones as long as they are older than the next epoch. Then the window
        moves on to that epoch, without a batch this time.
        """
        epoch = self.blocks[0]
        expiry = epoch.number + self._config.rollup.seq_window_size
        due = expiry < self.origin.number or (expiry == self.origin.number and out_of_data)
        if not due or len(self.blocks) < 2:
            return None
        time = Timestamp(parent.timestamp + self._config.rollup.block_time)
        next_epoch = self.blocks[1]
        first_of_epoch = epoch.number == parent.l1_origin.number + 1
        if time >= next_epoch.timestamp and not first_of_epoch:
            del self.blocks[0]
            return None
        self._report(
            Verdict(
                subject=Subject.BATCH,
                name=str(time),
                outcome=Outcome.ACCEPTED,
                reason=WindowReason.WINDOW_EXPIRED,
                rule=_FORCED_RULE,
                numbers=(("epoch", epoch.number), ("expiry", expiry), ("next_epoch_time", next_epoch.timestamp)),
                origin=self.origin.id,
            )
        )
        return SingularBatch(
            parent_hash=parent.hash,
            epoch_number=epoch.number,
            epoch_hash=epoch.hash,
            timestamp=time,
            transactions=(),
        )

    def take_apart(self, span: SpanBatch, parent: L2Ref, place: BatchPlace | None) -> BatchReason | None:
        """Queue the blocks of a span batch after `parent`; the reason why it is impossible, if it is."""
        blocks: deque[tuple[SpanBlock, Hash32]] = deque()
        first_known = self.blocks[0].number
        found = 0
        for block in span.blocks:
            if block.timestamp <= parent.timestamp:
                continue
            if block.epoch_number < parent.l1_origin.number:
                return BatchReason.EPOCH_TOO_OLD
            index = block.epoch_number - first_known
            if not found <= index < len(self.blocks):
                return BatchReason.EPOCH_UNKNOWN
            found = index
            blocks.append((block, self.blocks[index].hash))
        self._span, self._span_place = blocks, place
        return None

    def next_of_span(self, parent: L2Ref) -> SingularBatch | None:
        """The next block of the span batch that was taken apart, if it follows `parent`; otherwise all are dropped."""
        if not self._span:
            return None
        if self._span[0][0].timestamp != parent.timestamp + self._config.rollup.block_time:
            self._drop_span(WindowReason.PARENT_CHANGED)
            return None
        block, epoch_hash = self._span.popleft()
        return SingularBatch(
            parent_hash=parent.hash,
            epoch_number=block.epoch_number,
            epoch_hash=epoch_hash,
            timestamp=block.timestamp,
            transactions=block.transactions,
        )

    @property
    def span_is_done(self) -> bool:
        return not self._span

    def flush_span(self, reason: enum.StrEnum = WindowReason.PARENT_CHANGED) -> None:
        """Drop what is left of a span batch that was taken apart."""
        if self._span:
            self._drop_span(reason)

    def _drop_span(self, reason: enum.StrEnum) -> None:
        first, _ = self._span[0]
        self._report(
            Verdict(
                subject=Subject.SPAN_BATCH,
                name=str(first.timestamp),
                outcome=Outcome.DROPPED,
                reason=reason,
                rule='delta/span-batches.md, "Batch Queue"',
                numbers=(("blocks", len(self._span)), ("first", first.timestamp)),
                origin=self.origin.id,
                place=self._span_place,
            )
        )
        self._span.clear()

    def report(self, batch: Batch, verdict: BatchVerdict, place: BatchPlace | None) -> None:
        """Tell the observers what became of a batch, and where it was read."""
        self._tell(batch, verdict.outcome, verdict.reason, RULE[verdict.reason], place, verdict.numbers)

    def report_given_up(self, batch: Batch, place: BatchPlace | None) -> None:
        """Tell the observers of a batch that waited when order became strict."""
        self._tell(batch, Outcome.DROPPED, WindowReason.STRICT_ORDER, 'holocene/derivation.md, "Activation"', place)

    def _tell(
        self,
        batch: Batch,
        outcome: Outcome,
        reason: enum.StrEnum,
        rule: str,
        place: BatchPlace | None,
        numbers: tuple[tuple[str, Number], ...] = (),
    ) -> None:
        span = isinstance(batch, SpanBatch)
        first = batch.blocks[0].timestamp if isinstance(batch, SpanBatch) else batch.timestamp
        self._report(
            Verdict(
                subject=Subject.SPAN_BATCH if span else Subject.BATCH,
                name=str(first),
                outcome=outcome,
                reason=reason,
                rule=rule,
                numbers=numbers,
                origin=self.origin.id,
                place=place,
            )
        )
