"""The derivation machine on the child's side: each turn takes an answer and runs on to the next step."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import DerivationEvent, Derived, MustReset, NeedData, NeedL1, NeedL2Block, Step
from kroma_core.errors import KromaError
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.l2 import Payload
from kroma_core.node.isolation.messages import Carried, carried
from kroma_core.types import L1Ref, L2Ref


@attrs.frozen
class FedL1:
    block: L1Block
    receipts: L1Receipts


@attrs.frozen
class FedData:
    inputs: tuple[tuple[bytes, ...], ...]


@attrs.frozen
class FedL2:
    payload: Payload


@attrs.frozen
class ConfirmedBlock:
    payload: Payload


@attrs.frozen
class RejectedBlock:
    reason: str


Answer: TypeAlias = FedL1 | FedData | FedL2 | ConfirmedBlock | RejectedBlock


@attrs.frozen(kw_only=True)
class Turn:
    """What came of an answer: events, and the step that the machine waits at, or the error that ended it."""

    events: tuple[DerivationEvent, ...]
    step: Step | None
    error: Carried | None
    origin: L1Ref | None
    safe: L2Ref
    pending_safe: L2Ref


class Machine:
    """One machine at a time. A turn that is asked for again (its first asker was cancelled) is told again."""

    def __init__(self) -> None:
        self._machine: Derivation | None = None
        self._last: tuple[int, Turn] | None = None

    async def begin(self, config: ChainConfig, safe: Payload, base: Payload) -> None:
        self._machine, self._last = Derivation(config, safe=safe, base=base), None

    async def turn(self, number: int, answer: Answer | None) -> Turn:
        """Turn `number` of this machine: give it `answer`, and let it run to the step after."""
        assert self._machine is not None
        if self._last is None or self._last[0] != number:
            self._last = number, _turn(self._machine, answer)
        return self._last[1]


def _turn(machine: Derivation, answer: Answer | None) -> Turn:
    events: list[DerivationEvent] = []
    step: Step | None = None
    error: Carried | None = None
    try:
        _feed(machine, answer)
        while step is None:
            match machine.next_event():
                case NeedL1() | NeedData() | NeedL2Block() | Derived() | MustReset() as found:
                    step = found
                case event:
                    events.append(event)
    except KromaError as failure:
        error = carried(failure)
    return Turn(
        events=tuple(events),
        step=step,
        error=error,
        origin=machine.origin,
        safe=machine.safe,
        pending_safe=machine.pending_safe,
    )


def _feed(machine: Derivation, answer: Answer | None) -> None:
    match answer:
        case None:
            pass
        case FedL1(block, receipts):
            machine.feed_l1(block, receipts)
        case FedData(inputs):
            machine.feed_data(inputs)
        case FedL2(payload):
            machine.feed_l2(payload)
        case ConfirmedBlock(payload):
            machine.confirm(payload)
        case RejectedBlock(reason):
            machine.reject(reason)
