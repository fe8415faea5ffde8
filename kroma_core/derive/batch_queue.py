"""The batch stage before strict order: batches wait until they fit, in the order in which they were read.

A span batch is judged as a whole, and its blocks become safe as a whole.

Spec: derivation.md, "Batch Queue".
"""

from __future__ import annotations

from collections.abc import Generator

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.batch_rules import BatchVerdict, check_singular, check_span
from kroma_core.derive.batches import Batch, SingularBatch, SpanBatch
from kroma_core.derive.epoch_window import EpochWindow, NextBatch, Pull, Waiting, WindowReason
from kroma_core.derive.steps import BatchKind
from kroma_core.errors import CriticalError
from kroma_core.events import BatchPlace, Outcome
from kroma_core.l2 import Payload
from kroma_core.types import Hash32, L1Ref, L2Number, L2Ref


@attrs.define
class _Queued:
    """A batch that waits, its L1 block and its place there, and the last verdict with what that rests on."""

    batch: Batch
    inclusion: L1Ref
    place: BatchPlace | None
    verdict: BatchVerdict | None = None
    basis: tuple[Hash32, Hash32, Hash32] | None = None


class BatchQueue:
    """Batches of the channels in, batches that fit the chain out."""

    def __init__(self, config: ChainConfig, window: EpochWindow, pull: Pull) -> None:
        self._config = config
        self._pull = pull
        self._queue: list[_Queued] = []
        self.window = window

    def next(self, parent: L2Ref, origin: L1Ref) -> Generator[L2Number, Payload | None, NextBatch | Waiting]:
        """The batch of the block after `parent`, with L1 read up to `origin`.

        Yields numbers of blocks of the safe chain that a span batch is compared with. Raises `ResetError` when `parent`
        rests on another L1 chain than the one that was read.
        """
        window = self.window
        following = window.next_of_span(parent)
        if following is not None:
            return _of_span(window, following)

        window.update(origin, parent)
        behind = window.is_behind(origin, parent)
        pulled = self._pull()
        if pulled is Waiting.MORE:
            return Waiting.MORE
        out_of_data = pulled is Waiting.EXHAUSTED
        idle = Waiting.EXHAUSTED if out_of_data else Waiting.MORE
        if behind:
            return idle
        if not isinstance(pulled, Waiting):
            yield from self._add(pulled, parent)

        window.expect_continuity(parent)
        chosen = yield from self._choose(parent)
        if isinstance(chosen, Waiting):
            return idle
        if chosen is None:
            forced = window.forced_batch(parent, out_of_data=out_of_data)
            return idle if forced is None else NextBatch(batch=forced, kind=BatchKind.EMPTY, concludes=True)
        if isinstance(chosen.batch, SpanBatch):
            problem = window.take_apart(chosen.batch, parent, chosen.place)
            first = window.next_of_span(parent)
            if problem is not None or first is None:
                raise CriticalError(f"accepted span batch on L2 block {parent.id} cannot be taken apart: {problem}")
            return _of_span(window, first)
        return NextBatch(batch=chosen.batch, kind=BatchKind.SINGULAR, concludes=True, place=chosen.place)

    def flush(self) -> None:
        """Drop what is left of the span batch that is being used."""
        self.window.flush_span()

    def end(self) -> EpochWindow:
        """Give up what is queued and hand on the window: order becomes strict."""
        self.window.flush_span(WindowReason.STRICT_ORDER)
        for queued in self._queue:
            self.window.report_given_up(queued.batch, queued.place)
        self._queue.clear()
        return self.window

    def _add(self, batch: Batch, parent: L2Ref) -> Generator[L2Number, Payload | None, None]:
        queued = _Queued(batch, self.window.origin, self.window.place)
        if (yield from self._judge(queued, parent)).outcome is not Outcome.DROPPED:
            self._queue.append(queued)

    def _choose(self, parent: L2Ref) -> Generator[L2Number, Payload | None, _Queued | Waiting | None]:
        """The first batch that is accepted; `Waiting` when one before it is undecided; None when there is none."""
        remaining: list[_Queued] = []
        chosen: _Queued | Waiting | None = None
        for place, queued in enumerate(self._queue):
            verdict = yield from self._judge(queued, parent)
            if verdict.outcome is Outcome.FUTURE:
                remaining.append(queued)
            elif verdict.outcome is Outcome.ACCEPTED:
                remaining += self._queue[place + 1 :]
                chosen = queued
                break
            elif verdict.outcome is Outcome.UNDECIDED:
                remaining += self._queue[place:]
                chosen = Waiting.MORE
                break
        self._queue = remaining
        return chosen

    def _judge(self, queued: _Queued, parent: L2Ref) -> Generator[L2Number, Payload | None, BatchVerdict]:
        """The verdict on a batch now. It is reached again only when what it rests on has changed."""
        blocks = self.window.blocks
        basis = (parent.hash, blocks[0].hash, blocks[-1].hash)
        before = queued.verdict
        if before is not None and queued.basis == basis:
            return before
        if isinstance(queued.batch, SpanBatch):
            verdict = yield from check_span(self._config, blocks, parent, queued.batch, queued.inclusion)
        else:
            verdict = check_singular(self._config, blocks, parent, queued.batch, queued.inclusion)
        queued.verdict, queued.basis = verdict, basis
        if before is None or (before.outcome, before.reason) != (verdict.outcome, verdict.reason):
            self.window.report(queued.batch, verdict, queued.place)
        return verdict


def _of_span(window: EpochWindow, batch: SingularBatch) -> NextBatch:
    """A block of the span batch that is being used, which makes blocks safe with its last one."""
    return NextBatch(batch=batch, kind=BatchKind.SPAN, concludes=window.span_is_done, place=window.span_place)
