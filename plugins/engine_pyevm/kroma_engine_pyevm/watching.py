"""Machines that are looked at while they run: a deadline for queries, frames and steps for traces.

A machine is a table of instructions. Here some or all of them are wrapped, so that blocks pay nothing for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import attrs
from eth.exceptions import FullStack, InsufficientStack, OutOfGas
from eth.vm import opcode_values as op

from kroma_core.api import CallFailure, TracedCall, TracedLog, TracedStep, TraceRequest
from kroma_core.errors import TemporaryError
from kroma_core.types import Address
from kroma_engine_pyevm.failures import cause_of, failure_of, opcode_name
from kroma_engine_pyevm.frames import CALL_DEPTH_LIMIT, Frame, Instruction, Machine, Short

_STIPEND = 2300
_STEP_BYTES = 200
"""What a step takes besides stack and memory."""
_ADDRESS_MASK = 2**160 - 1
_LOGS = tuple(range(op.LOG0, op.LOG4 + 1))
_CREATIONS = (op.CREATE, op.CREATE2)
_CALLS = (op.CALL, op.CALLCODE, op.DELEGATECALL, op.STATICCALL)
_WITH_VALUE = (op.CALL, op.CALLCODE)
_LOOPING = (op.JUMP, op.JUMPI, *_CALLS, *_CREATIONS)
"""Code without these ends within its own length."""

_Wrap = Callable[[int, Instruction], Instruction]


class Stopwatch:
    """Ends a query that takes too long, or that nobody waits for any more, at its next jump or call."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = float("inf")
        self.stopped = False

    def begin(self) -> None:
        """Count from now on."""
        self._end = time.monotonic() + self._seconds

    def check(self) -> None:
        """Raises `TemporaryError` once the time is over."""
        if self.stopped or time.monotonic() > self._end:
            raise TemporaryError(f"execution aborted (timeout = {self._seconds:g}s)")

    def on(self, machine: Machine) -> Machine:
        """The machine with this stopwatch looked at."""

        def wrap(opcode: int, instruction: Instruction) -> Instruction:
            def checked(frame: Frame) -> None:
                self.check()
                instruction(frame)

            return checked

        return _wrapped(machine, _LOOPING, wrap)


def _wrapped(machine: Machine, opcodes: Iterable[int], wrap: _Wrap) -> Machine:
    instructions = list(machine.instructions)
    for opcode in opcodes:
        instructions[opcode] = wrap(opcode, instructions[opcode])
    return attrs.evolve(machine, instructions=tuple(instructions))


@attrs.define(kw_only=True)
class _OpenStep:
    """An instruction that runs. `gas` is what there was before it."""

    pc: int
    opcode: int
    gas: int
    stack: tuple[int, ...] | None
    memory: bytes | None
    return_data: bytes | None
    storage: tuple[tuple[int, int], ...] | None


@attrs.define(kw_only=True)
class _OpenCall:
    """A frame that runs, or is about to begin."""

    kind: str
    sender: Address
    to: Address
    value: int | None
    place: int = 0
    """Where its frame stands among all that were begun."""
    gas: int = 0
    input: bytes = b""
    frame: Frame | None = None
    step: _OpenStep | None = None
    """The instruction that its frame is at, until what it costs is known."""
    opened: int = 0
    """Calls that it has made."""
    logs: list[TracedLog] = attrs.field(factory=list)


class Tracer:
    """Writes down what one transaction does: `calls` in the order in which they began, none where nothing ran."""

    def __init__(self, wanted: TraceRequest) -> None:
        self._wanted = wanted
        self._open: list[_OpenCall] = []
        self._announced: _OpenCall | None = None
        self._storage: dict[Address, dict[int, int]] = {}
        self._log_count = 0
        self._size = 0
        self.steps: list[TracedStep] = []
        self.complete = True
        self._calls: list[TracedCall | None] = []

    def on(self, machine: Machine) -> Machine:
        """The machine with this tracer looking on."""
        watched = _wrapped(machine, (*_CALLS, *_CREATIONS), self._opening)
        watched = _wrapped(watched, _LOGS, self._logging)
        watched = _wrapped(watched, (op.SELFDESTRUCT,), self._destroying)
        watched = attrs.evolve(watched, watch=self)
        if not self._wanted.most_steps:
            return watched
        prices = machine.prices
        watched = _wrapped(watched, range(256), lambda opcode, logic: self._stepping(opcode, prices[opcode], logic))
        return attrs.evolve(watched, prices=(0,) * 256)

    @property
    def calls(self) -> tuple[TracedCall, ...]:
        return tuple([call for call in self._calls if call is not None])

    # --- frames

    def enter(self, frame: Frame, *, creates: bool) -> None:
        message = frame.msg
        call, self._announced = self._announced, None
        if call is None:
            kind = "CREATE" if creates else "CALL"
            call = _OpenCall(kind=kind, sender=message.sender, to=message.storage_address, value=message.value)
        if creates:
            call.to = message.storage_address
        call.input = bytes(message.code if creates else message.data)
        call.gas = message.gas
        call.frame = frame
        self._begin(call)
        if self._open:
            parent = self._open[-1]
            step, parent.step = parent.step, None
            if step is not None and parent.frame is not None:
                # What a creation gets is no part of its price, what a call gets is.
                handed_on = message.gas if creates else 0
                self._finish(step, parent.frame, step.gas - parent.frame.gas - handed_on)
        self._open.append(call)

    def _begin(self, call: _OpenCall) -> None:
        call.place = len(self._calls)
        self._calls.append(None)
        if self._open:
            self._open[-1].opened += 1

    def leave(self, frame: Frame) -> None:
        call = self._open.pop()
        failure, detail = failure_of(frame)
        self._close(call, frame.output, call.gas - frame.gas, failure, detail)

    def _close(
        self, call: _OpenCall, output: bytes, gas_used: int, failure: CallFailure | None, detail: str = ""
    ) -> None:
        creation = call.kind in ("CREATE", "CREATE2")
        self._calls[call.place] = TracedCall(
            depth=len(self._open),
            kind=call.kind,
            sender=call.sender,
            to=None if creation and failure is not None else call.to,
            value=call.value,
            gas=call.gas,
            gas_used=gas_used,
            input=call.input,
            output=output,
            failure=failure,
            detail=detail,
            logs=tuple(call.logs),
        )
        if failure is not None:
            # What was undone has emitted nothing, and neither has what it called.
            for place, inner in enumerate(self._calls[call.place :], call.place):
                if inner is not None and inner.logs:
                    self._calls[place] = attrs.evolve(inner, logs=())

    def _opening(self, opcode: int, instruction: Instruction) -> Instruction:
        def traced(frame: Frame) -> None:
            before = frame.stack[-7:]
            if len(before) < (3 if opcode == op.CREATE else 4 if opcode == op.CREATE2 else 6):
                instruction(frame)
                return
            call = self._announced = _call_of(opcode, frame, before)
            instruction(frame)
            if self._announced is call:
                self._announced = None
                self._not_opened(opcode, frame, call, before)

        return traced

    def _not_opened(self, opcode: int, frame: Frame, call: _OpenCall, before: list[int]) -> None:
        """A call that failed before it had a frame: too deep, or without the money."""
        deep = frame.msg.depth >= CALL_DEPTH_LIMIT
        failure = CallFailure.DEPTH if deep else CallFailure.BALANCE
        if opcode in _CALLS:
            # The gas was handed on and came back, with the stipend.
            stipend = _STIPEND if opcode in _WITH_VALUE and before[-3] else 0
            left = frame.gas - stipend
            passed = min(before[-1], left - left // 64)
            call.gas = passed + stipend
            step, self._open[-1].step = self._open[-1].step, None
            if step is not None:
                self._finish(step, frame, step.gas - left + passed)
        else:
            call.gas = frame.gas - frame.gas // 64
        self._begin(call)
        self._close(call, b"", 0, failure)

    def _logging(self, opcode: int, instruction: Instruction) -> Instruction:
        def traced(frame: Frame) -> None:
            instruction(frame)
            call = self._open[-1]
            call.logs.append(TracedLog(log=frame.world.logs[-1], index=self._log_count, position=call.opened))
            self._log_count += 1

        return traced

    def _destroying(self, opcode: int, instruction: Instruction) -> Instruction:
        def traced(frame: Frame) -> None:
            if not frame.stack or frame.msg.is_static:
                instruction(frame)
                return
            own = frame.msg.storage_address
            to = (frame.stack[-1] & _ADDRESS_MASK).to_bytes(20, "big")
            call = _OpenCall(kind="SELFDESTRUCT", sender=own, to=to, value=frame.world.get_balance(own))
            try:
                instruction(frame)
            except OutOfGas:
                raise
            except BaseException:
                self._begin(call)
                self._close(call, b"", 0, None)
                raise

        return traced

    # --- steps

    def _stepping(self, opcode: int, price: int, instruction: Instruction) -> Instruction:
        step_name = opcode_name(opcode)

        def traced(frame: Frame) -> None:
            if len(self.steps) >= self._wanted.most_steps or self._size >= self._wanted.most_bytes:
                self.complete = False
                frame.consume_gas(price, "")
                instruction(frame)
                return
            step = self._began(opcode, frame)
            call = self._open[-1]
            call.step = step
            try:
                frame.consume_gas(price, step_name)
                instruction(frame)
            except (OutOfGas, InsufficientStack, FullStack) as error:
                needed = error.needed if isinstance(error, Short) else 0
                self._finish(step, frame, step.gas - frame.gas + needed, cause_of(error), str(error))
                call.step = None
                raise
            except IndexError:
                self._finish(step, frame, price, CallFailure.STACK_UNDERFLOW)
                call.step = None
                raise
            finally:
                if call.step is step:
                    call.step = None
                    self._finish(step, frame, step.gas - frame.gas)

        return traced

    def _began(self, opcode: int, frame: Frame) -> _OpenStep:
        wanted = self._wanted
        self._size += 32 * len(frame.stack) + (len(frame.memory) if wanted.memory else 0) + _STEP_BYTES
        self._size += len(frame.return_data) if wanted.return_data else 0
        return _OpenStep(
            pc=frame.pc - 1,
            opcode=opcode,
            gas=frame.gas,
            stack=tuple(frame.stack) if wanted.stack else None,
            memory=bytes(frame.memory) if wanted.memory else None,
            return_data=frame.return_data if wanted.return_data else None,
            storage=self._slots(opcode, frame) if wanted.storage else None,
        )

    def _slots(self, opcode: int, frame: Frame) -> tuple[tuple[int, int], ...] | None:
        stack = frame.stack
        own = frame.msg.storage_address
        if opcode == op.SLOAD and stack:
            slot, value = stack[-1], frame.world.get_storage(own, stack[-1])
        elif opcode == op.SSTORE and len(stack) > 1:
            slot, value = stack[-1], stack[-2]
        else:
            return None
        seen = self._storage.setdefault(own, {})
        seen[slot] = value
        return tuple(seen.items())

    def _finish(
        self, step: _OpenStep, frame: Frame, cost: int, failure: CallFailure | None = None, detail: str = ""
    ) -> None:
        self.steps.append(
            TracedStep(
                pc=step.pc,
                opcode=step.opcode,
                name=opcode_name(step.opcode),
                gas=step.gas,
                cost=cost,
                depth=frame.msg.depth + 1,
                refund=frame.world.refund,
                stack=step.stack,
                memory=step.memory,
                return_data=step.return_data,
                storage=step.storage,
                failure=failure,
                detail=detail,
            )
        )


def _call_of(opcode: int, frame: Frame, stack: list[int]) -> _OpenCall:
    """The frame that an instruction is about to open, as far as the stack tells."""
    own = frame.msg.storage_address
    name = opcode_name(opcode)
    if opcode in _CREATIONS:
        return _OpenCall(kind=name, sender=own, to=b"", value=stack[-1])
    to = (stack[-2] & _ADDRESS_MASK).to_bytes(20, "big")
    value: int | None = None
    if opcode in _WITH_VALUE:
        value = stack[-3]
    elif opcode == op.DELEGATECALL:
        value = frame.msg.value
    return _OpenCall(kind=name, sender=own, to=to, value=value)
