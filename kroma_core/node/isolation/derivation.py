"""Derivation in a process of its own, and its stand-in in the node."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import attrs
import trio

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import DerivationEvent, Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.errors import KromaError, ResetError, TemporaryError
from kroma_core.events import Event
from kroma_core.l1 import L1Block, L1Receipts
from kroma_core.l2 import Payload
from kroma_core.node.isolation.hosts import DerivationHost
from kroma_core.node.isolation.kept import KeptProcess
from kroma_core.node.isolation.machine import Answer, ConfirmedBlock, FedData, FedL1, FedL2, RejectedBlock, Turn
from kroma_core.node.retry import RetryPolicy
from kroma_core.types import L1Ref, L2Ref

PART: Final = "derivation"


@attrs.define
class LocalMachine:
    """The machine itself, in this process."""

    _machine: Derivation
    _told: bool = attrs.field(default=False, init=False)
    """Whether the last event was only to be told."""

    @property
    def origin(self) -> L1Ref | None:
        return self._machine.origin

    @property
    def pending_safe(self) -> L2Ref:
        return self._machine.pending_safe

    async def next_event(self) -> DerivationEvent:
        """See `Derivation.next_event`. Others get their turn after what is only to be told; a step waits by itself."""
        if self._told:
            await trio.lowlevel.checkpoint()
        event = self._machine.next_event()
        self._told = not isinstance(event, NeedL1 | NeedData | NeedL2Block | Derived | MustReset)
        return event

    def feed_l1(self, block: L1Block, receipts: L1Receipts) -> None:
        self._machine.feed_l1(block, receipts)

    def feed_data(self, inputs: Sequence[tuple[bytes, ...]]) -> None:
        self._machine.feed_data(inputs)

    def feed_l2(self, payload: Payload) -> None:
        self._machine.feed_l2(payload)

    def confirm(self, payload: Payload) -> None:
        self._machine.confirm(payload)

    def reject(self, reason: str) -> None:
        self._machine.reject(reason)


class RemoteMachine:
    """A machine in a process of its own. Answers go there with the next question, and errors come with its answer.

    Raises `ResetError` where the process is gone: the machine is, too, and another one has to be made.
    """

    def __init__(self, process: KeptProcess, pending_safe: L2Ref) -> None:
        self.origin: L1Ref | None = None
        """The L1 block that is being read; None before the first was fed."""
        self.pending_safe = pending_safe
        """The last confirmed block."""
        self._process = process
        self._events: deque[DerivationEvent] = deque()
        self._error: KromaError | None = None
        self._answer: Answer | None = None
        self._number = 0
        """Of the turn that is asked for next. One that was cancelled is asked for again under the same number."""

    async def next_event(self) -> DerivationEvent:
        """See `Derivation.next_event`."""
        await trio.lowlevel.checkpoint()
        if self._answer is not None or not (self._events or self._error):
            try:
                self._take(await self._process.call("turn", self._number, self._answer))
            except TemporaryError as error:
                raise ResetError(str(error)) from error
        if len(self._events) > 1 or (self._events and self._error is not None):
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return self._events[0]

    def _take(self, turn: Turn) -> None:
        self._number, self._answer = self._number + 1, None
        self._events = deque(turn.events if turn.step is None else (*turn.events, turn.step))
        self._error = None if turn.error is None else turn.error.restored()
        self.origin, self.pending_safe = turn.origin, turn.pending_safe

    def feed_l1(self, block: L1Block, receipts: L1Receipts) -> None:
        self._answer = FedL1(block, receipts)

    def feed_data(self, inputs: Sequence[tuple[bytes, ...]]) -> None:
        self._answer = FedData(tuple(inputs))

    def feed_l2(self, payload: Payload) -> None:
        self._answer = FedL2(payload)

    def confirm(self, payload: Payload) -> None:
        self._answer = ConfirmedBlock(payload)

    def reject(self, reason: str) -> None:
        self._answer = RejectedBlock(reason)


DerivationMachine: TypeAlias = LocalMachine | RemoteMachine


class InThisProcess:
    """Makes machines that run where the driver does."""

    async def begin(self, config: ChainConfig, safe: Payload, base: Payload) -> DerivationMachine:
        """A machine that derives what follows `safe`; see `Derivation`."""
        await trio.lowlevel.checkpoint()
        return LocalMachine(Derivation(config, safe=safe, base=base))


@attrs.frozen
class InOwnProcess:
    """Makes machines in one other process, which holds the last of them."""

    process: KeptProcess

    async def begin(self, config: ChainConfig, safe: Payload, base: Payload) -> DerivationMachine:
        """The same, there. Waits for the process where it is being started again."""
        while True:
            await self.process.ready()
            with contextlib.suppress(TemporaryError):
                await self.process.call("begin", config, safe, base)
                return RemoteMachine(self.process, l2_ref(safe, config))


Derivations: TypeAlias = InThisProcess | InOwnProcess


@asynccontextmanager
async def isolated_derivation(
    emit: Callable[[Event], None], policy: RetryPolicy = RetryPolicy()
) -> AsyncIterator[InOwnProcess]:
    """A process for derivation. It has nothing to close: it is killed at the end."""
    process = KeptProcess(DerivationHost(), PART, emit, policy, patience=0)
    async with process.running():
        yield InOwnProcess(process)
