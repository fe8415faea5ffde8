"""The batch stage in strict order: a batch fits now, or it and the rest of its channel are dropped.

The blocks of a span batch are judged one by one, and each becomes safe by itself.

Spec: holocene/derivation.md, "Span Batches", "Batch Queue", "Fast Channel Invalidation".
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.batch_rules import BatchVerdict, check_singular, check_span_in_strict_order
from kroma_core.derive.batches import SingularBatch, SpanBatch
from kroma_core.derive.epoch_window import EpochWindow, NextBatch, Pull, Waiting
from kroma_core.derive.steps import BatchKind
from kroma_core.errors import CriticalError
from kroma_core.events import BatchPlace, Outcome
from kroma_core.l2 import Payload
from kroma_core.types import L1Ref, L2Number, L2Ref


class BatchStage:
    """Batches of the channels in, batches that fit the chain out. `flush_channel` drops the channel being read."""

    def __init__(self, config: ChainConfig, window: EpochWindow, pull: Pull, flush_channel: Callable[[], None]) -> None:
        self._config = config
        self._pull = pull
        self._flush_channel = flush_channel
        self.window = window

    def next(self, parent: L2Ref, origin: L1Ref) -> Generator[L2Number, Payload | None, NextBatch | Waiting]:
        """As `BatchQueue.next`. Nothing comes out before L1 has been read beyond the epoch of `parent`."""
        window = self.window
        window.update(origin, parent)
        if origin.number <= parent.l1_origin.number:
            drained = self._pull()
            return drained if isinstance(drained, Waiting) else Waiting.MORE
        if len(window.blocks) < 2:
            raise CriticalError(f"L1 was not read from the epoch of L2 block {parent.id} on, only from {origin.id}")
        window.expect_continuity(parent)

        candidate = yield from self._candidate(parent)
        if candidate is Waiting.EXHAUSTED:
            forced = window.forced_batch(parent, out_of_data=True)
            if forced is None:
                return Waiting.EXHAUSTED
            return NextBatch(batch=forced, kind=BatchKind.EMPTY, concludes=True)
        if isinstance(candidate, Waiting):
            return candidate
        batch, kind, place = candidate
        verdict = check_singular(self._config, window.blocks, parent, batch, window.origin)
        window.report(batch, verdict, place)
        if verdict.outcome is Outcome.ACCEPTED:
            return NextBatch(batch=batch, kind=kind, concludes=True, place=place)
        if verdict.outcome is Outcome.DROPPED:
            self.flush()
        return Waiting.MORE

    def flush(self) -> None:
        """Drop what is left of the span batch and of the channel that are being used."""
        self.window.flush_span()
        self._flush_channel()

    def _candidate(
        self, parent: L2Ref
    ) -> Generator[L2Number, Payload | None, tuple[SingularBatch, BatchKind, BatchPlace | None] | Waiting]:
        """The next batch to judge: of the span batch that was taken apart, or from the channels."""
        window = self.window
        following = window.next_of_span(parent)
        if following is not None:
            return following, BatchKind.SPAN, window.span_place
        pulled = self._pull()
        if isinstance(pulled, Waiting):
            return pulled
        if not isinstance(pulled, SpanBatch):
            return pulled, BatchKind.SINGULAR, window.place

        verdict = yield from check_span_in_strict_order(self._config, window.blocks, parent, pulled, window.origin)
        if verdict.outcome is Outcome.ACCEPTED:
            problem = window.take_apart(pulled, parent, window.place)
            if problem is not None:
                verdict = BatchVerdict(Outcome.DROPPED, problem)
        window.report(pulled, verdict, window.place)
        if verdict.outcome is Outcome.DROPPED:
            self.flush()
        if verdict.outcome is not Outcome.ACCEPTED:
            return Waiting.MORE
        first = window.next_of_span(parent)
        return Waiting.MORE if first is None else (first, BatchKind.SPAN, window.span_place)
