"""The whole derivation machine: L1 blocks and batcher data in, payload attributes out, one block at a time.

The machine pulls: it asks for what it needs next and does nothing ahead of need, because the order of reading is
consensus. A batch is judged against the safe head as it is after the previous attributes were confirmed. A reset is the
construction of a new machine.

    machine = Derivation(config, safe=..., base=...)
    while True:
        match machine.next_event():
            case NeedL1(): ...          machine.feed_l1(block, receipts)
            case NeedData(): ...        machine.feed_data(inputs)
            case NeedL2Block(): ...     machine.feed_l2(payload)
            case Derived(): ...         machine.confirm(payload), or machine.reject(reason)
            case MustReset(): ...       a new machine, from a block that holds
            case observation: ...       to be told to observers; goes on by itself

Spec: derivation.md, "L2 Chain Derivation Pipeline"; holocene/derivation.md, "Engine Queue".
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Generator, Sequence
from typing import Final, TypeAlias, TypeVar

import attrs

from kroma_core.chain.config import ChainConfig, SystemConfig
from kroma_core.codec.receipts import Receipt
from kroma_core.derive.attributes import (
    L1Origin,
    deposits_only,
    has_only_deposits,
    needs_receipts,
    payload_attributes,
)
from kroma_core.derive.batch_queue import BatchQueue
from kroma_core.derive.batch_source import BatchSource
from kroma_core.derive.batch_stage import BatchStage
from kroma_core.derive.batches import Batch
from kroma_core.derive.epoch_window import EpochWindow, NextBatch, Waiting
from kroma_core.derive.inbox import authorised
from kroma_core.derive.l2_blocks import read_l2_block
from kroma_core.derive.steps import (
    BatchKind,
    DerivationEvent,
    Derived,
    MustReset,
    NeedData,
    NeedL1,
    NeedL2Block,
    Observation,
    Step,
)
from kroma_core.derive.system_config import apply_config_updates
from kroma_core.errors import CriticalError, DecodeError, KromaError, ResetError
from kroma_core.events import InboxRead, L1Traversed, Outcome, Subject, Verdict
from kroma_core.l1 import L1Block
from kroma_core.l2 import Payload
from kroma_core.types import L1Number, L1Ref, L2Number, L2Ref

_T = TypeVar("_T")


class EngineReason(enum.StrEnum):
    """What becomes of a block that the engine refuses."""

    DROPPED = "the engine refuses the block: its batch is dropped"
    REPLACED = "the engine refuses the block: it is made of its deposits alone"


_RULE: Final = {
    EngineReason.DROPPED: 'derivation.md, "L1-sync: payload attributes processing"',
    EngineReason.REPLACED: 'holocene/derivation.md, "Engine Queue"',
}


@attrs.frozen
class _L1Answer:
    block: L1Block
    receipts: tuple[Receipt, ...]


@attrs.frozen
class _DataAnswer:
    inputs: tuple[tuple[bytes, ...], ...]


@attrs.frozen
class _Judged:
    """The engine has taken or refused the attributes; the machine's heads say which."""


_Answer: TypeAlias = _L1Answer | _DataAnswer | Payload | _Judged
_Machine: TypeAlias = Generator[Step, _Answer, _T]


@attrs.frozen
class _Head:
    """An L2 block that the next one can follow, with the configuration that it was made with."""

    ref: L2Ref
    config: SystemConfig


def is_far_enough(base: L2Ref, safe: L2Ref, config: ChainConfig) -> bool:
    """Whether every channel that may hold the successor of `safe` opens at the L1 origin of `base` or later.

    Walk back from `safe` until this holds. Counts with the longest channel timeout that the chain ever had.
    Spec: derivation.md, "Resetting derivation stages".
    """
    rollup = config.rollup
    if base.number <= rollup.genesis.l2.number or base.l1_origin.number <= rollup.genesis.l1.number:
        return True
    fixed = rollup.schedule.at(safe.timestamp).fixed_channel_timeout or 0
    return base.l1_origin.number + max(rollup.channel_timeout, fixed) <= safe.l1_origin.number


class Derivation:
    """Derives the L2 chain after `safe`, reading L1 from the origin of `base` on.

    `base` is `safe` or an ancestor that `is_far_enough`; its configuration says who the batcher is there. Whatever is
    malformed on L1 becomes an event; `CriticalError` is raised where the protocol has no answer. A `ValueError` says
    that an answer does not fit what was asked for.
    """

    def __init__(self, config: ChainConfig, *, safe: Payload, base: Payload) -> None:
        self._config: Final = config
        base_ref, base_config = read_l2_block(base, config)
        self._base_origin = base_ref.l1_origin
        self._batcher_config = base_config
        self._safe = self._pending = _Head(*read_l2_block(safe, config))
        self._l1: dict[int, L1Origin] = {}
        self._origin: L1Ref | None = None
        self._inputs: deque[tuple[str, bytes]] = deque()
        self._events: deque[Observation] = deque()
        self._replacement: Derived | None = None
        self._answer: _Answer | None = None
        self._failure: KromaError | None = None
        self._machine = self._run()
        self._step: Step | None = next(self._machine)

    @property
    def origin(self) -> L1Ref | None:
        """The L1 block that is being read; None before the first was fed."""
        return self._origin

    @property
    def safe(self) -> L2Ref:
        """The last block that follows from L1 for good."""
        return self._safe.ref

    @property
    def pending_safe(self) -> L2Ref:
        """The last confirmed block; ahead of `safe` inside a span batch that is not used up yet."""
        return self._pending.ref

    def next_event(self) -> DerivationEvent:
        """The next observation, or else the step that the machine waits at: the same until it is answered."""
        while not self._events:
            if self._failure is not None:
                raise self._failure
            if self._step is not None:
                return self._step
            self._advance_machine()
        return self._events.popleft()

    def feed_l1(self, block: L1Block, receipts: tuple[Receipt, ...]) -> None:
        """Answer `NeedL1`. `receipts` may be empty where `needs_receipts(block.header, config)` is False."""
        step = self._expect(NeedL1)
        if block.header.number != step.number:
            raise ValueError(f"expected L1 block {step.number}, got {block.id}")
        if needs_receipts(block.header, self._config) and len(receipts) != len(block.transactions):
            raise CriticalError(
                f"L1 block {block.id}: expected the receipts of {len(block.transactions)} transactions, "
                f"got {len(receipts)}"
            )
        self._resume(_L1Answer(block, receipts))

    def feed_data(self, inputs: Sequence[tuple[bytes, ...]]) -> None:
        """Answer `NeedData`: for each of its transactions, in order, the inputs that it carries (maybe none)."""
        step = self._expect(NeedData)
        if len(inputs) != len(step.transactions):
            raise ValueError(f"expected the data of {len(step.transactions)} transactions, got {len(inputs)}")
        self._resume(_DataAnswer(tuple(inputs)))

    def feed_l2(self, payload: Payload) -> None:
        """Answer `NeedL2Block`."""
        step = self._expect(NeedL2Block)
        if payload.number != step.number:
            raise ValueError(f"expected L2 block {step.number}, got {payload.id}")
        self._resume(payload)

    def confirm(self, payload: Payload) -> None:
        """Answer `Derived`: the block with these attributes is part of the chain (built, or there already)."""
        derived = self._expect(Derived)
        if payload.parent_hash != derived.parent.hash:
            raise ValueError(f"expected a block on {derived.parent.id}, got {payload.id}")
        try:
            self._pending = _Head(*read_l2_block(payload, self._config))
        except DecodeError as error:
            raise CriticalError(f"the engine made an L2 block that cannot be read: {error}") from error
        if derived.concludes:
            self._safe = self._pending
            self._forget_l1()
        self._resume(_Judged())

    def reject(self, reason: str) -> None:
        """Answer `Derived`: the engine refuses a block with these attributes, and always will.

        Raises `CriticalError` if they hold deposits alone. In strict order (by the time of the L1 block that carried
        the batch) the next step is the same block with its deposits alone. Before, the batch is dropped, and with it
        the rest of its span batch: the pending safe head returns to the safe head.
        """
        derived = self._expect(Derived)
        if has_only_deposits(derived.attributes):
            raise CriticalError(
                f"the engine refuses the block on {derived.parent.id} although it holds deposits alone: {reason}"
            )
        if self._config.rollup.schedule.at(derived.derived_from.timestamp).strict_order:
            replaced = deposits_only(derived.attributes)
            self._replacement = attrs.evolve(derived, attributes=replaced, kind=BatchKind.DEPOSITS_ONLY, concludes=True)
            outcome = EngineReason.REPLACED
        else:
            self._pending = self._safe
            outcome = EngineReason.DROPPED
        self._events.append(
            Verdict(
                subject=Subject.ATTRIBUTES,
                name=str(derived.attributes.timestamp),
                outcome=Outcome.DROPPED,
                reason=outcome,
                rule=_RULE[outcome],
                numbers=(("number", derived.parent.number + 1), ("engine", reason)),
                origin=derived.derived_from.id,
                place=derived.place,
            )
        )
        self._resume(_Judged())

    def _run(self) -> _Machine[None]:
        """The machine itself. It ends only by an exception, or waits for ever at `MustReset`."""
        try:
            yield from self._derive()
        except ResetError as error:
            while True:
                yield MustReset(reason=str(error))

    def _derive(self) -> _Machine[None]:
        answer = yield from self._ask_l1(NeedL1(number=L1Number(self._base_origin.number), parent=None))
        first = answer.block.ref
        if first.hash != self._base_origin.hash:
            raise ResetError(f"L1 block {first.id} is not the L1 origin that was asked for, {self._base_origin}")
        schedule = self._config.rollup.schedule
        rules = schedule.at(first.timestamp)
        source = BatchSource(self._config.rollup, first, rules, self._events.append)
        window = EpochWindow(self._config, first, self._events.append)

        def pull() -> Batch | Waiting:
            while (batch := source.next_batch()) is None:
                if not self._inputs:
                    return Waiting.EXHAUSTED
                name, data = self._inputs.popleft()
                source.feed(data, name)
            window.place = source.place
            return batch

        stage: BatchQueue | BatchStage
        if rules.strict_order:
            stage = BatchStage(self._config, window, pull, source.flush_channel)
        else:
            stage = BatchQueue(self._config, window, pull)
        yield from self._take_up(answer)
        origin = first
        while True:
            found = yield from self._with_l2(stage.next(self._pending.ref, origin))
            if isinstance(found, NextBatch):
                yield from self._make(found, origin, stage)
            elif found is Waiting.EXHAUSTED:
                answer = yield from self._ask_l1(NeedL1(number=L1Number(origin.number + 1), parent=origin))
                block = answer.block.ref
                if block.parent_hash != origin.hash:
                    raise ResetError(
                        f"L1 block {block.id} with parent 0x{block.parent_hash.hex()} does not follow {origin.id}"
                    )
                reorders = schedule.reorders(origin.timestamp, block.timestamp)
                source.advance(block, schedule.at(block.timestamp), reorders=reorders)
                if reorders and isinstance(stage, BatchQueue):
                    stage = BatchStage(self._config, stage.end(), pull, source.flush_channel)
                yield from self._take_up(answer)
                origin = block

    def _ask_l1(self, step: NeedL1) -> _Machine[_L1Answer]:
        answer = yield step
        assert isinstance(answer, _L1Answer)
        return answer

    def _take_up(self, answer: _L1Answer) -> _Machine[None]:
        """Begin an L1 block: its config updates, which count for all its transactions, and its batcher data."""
        block, rollup = answer.block, self._config.rollup
        ref = block.ref
        first = self._origin is None
        self._origin = ref
        self._events.append(L1Traversed(block=ref))
        if not first:
            # The configuration that derivation starts with includes the first block's updates.
            self._batcher_config, verdicts = apply_config_updates(
                self._batcher_config, answer.receipts, rollup, ref.id, ref.timestamp
            )
            self._events.extend(verdicts)
        if ref.number >= self._safe.ref.l1_origin.number:
            receipts = answer.receipts if needs_receipts(block.header, self._config) else ()
            self._l1[ref.number] = L1Origin(ref=ref, header=block.header, receipts=receipts)
        transactions = authorised(block, rollup, self._batcher_config.batcher, self._events.append)
        if not transactions:
            return
        rules = rollup.schedule.at(ref.timestamp)
        data = yield NeedData(block=ref, transactions=transactions, rules=rules)
        assert isinstance(data, _DataAnswer)
        for transaction, inputs in zip(transactions, data.inputs, strict=True):
            self._events.append(
                InboxRead(
                    transaction=transaction.hash,
                    index=transaction.index,
                    type=transaction.type,
                    blobs=len(transaction.blob_hashes),
                    inputs=len(inputs),
                    origin=ref.id,
                )
            )
            for index, each in enumerate(inputs):
                self._inputs.append((f"{transaction.hash.hex()}/{index}", each))

    def _with_l2(self, asking: Generator[L2Number, Payload | None, _T]) -> _Machine[_T]:
        """Run something that may ask for blocks of the safe chain."""
        try:
            number = next(asking)
            while True:
                payload = yield NeedL2Block(number=number)
                assert isinstance(payload, Payload)
                number = asking.send(payload)
        except StopIteration as done:
            result: _T = done.value
            return result

    def _make(self, found: NextBatch, origin: L1Ref, stage: BatchQueue | BatchStage) -> _Machine[None]:
        """Attributes out of a batch, until the engine has taken or refused them."""
        batch, parent = found.batch, self._pending
        epoch = self._l1.get(batch.epoch_number)
        if epoch is None or epoch.ref.hash != batch.epoch_hash:
            raise CriticalError(
                f"L1 block {batch.epoch_number}, epoch of the block after {parent.ref.id}, was not kept"
            )
        step: Derived | None = Derived(
            attributes=payload_attributes(self._config, parent.ref, parent.config, epoch, sequenced=batch.transactions),
            parent=parent.ref,
            derived_from=origin,
            kind=found.kind,
            concludes=found.concludes,
            place=found.place,
        )
        while step is not None:
            yield step
            step = self._take_replacement()
            if step is not None:
                stage.flush()

    def _take_replacement(self) -> Derived | None:
        replacement, self._replacement = self._replacement, None
        return replacement

    def _forget_l1(self) -> None:
        """Let go of L1 blocks that no further L2 block can have as its epoch."""
        needed = self._safe.ref.l1_origin.number
        for number in [number for number in self._l1 if number < needed]:
            del self._l1[number]

    def _expect(self, kind: type[_T]) -> _T:
        if self._failure is not None:
            raise self._failure
        if self._step is None and not self._events:
            self._advance_machine()
        if not isinstance(self._step, kind):
            raise ValueError(f"not asked for: the machine waits at {type(self._step).__name__}, not {kind.__name__}")
        return self._step

    def _resume(self, answer: _Answer) -> None:
        self._answer, self._step = answer, None

    def _advance_machine(self) -> None:
        """Run on to the next step, with the answer to the last one."""
        assert self._answer is not None
        try:
            self._step = self._machine.send(self._answer)
        except KromaError as error:
            self._failure = error
            raise
