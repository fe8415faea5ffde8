"""A call frame: the machine that runs one piece of bytecode, over py-evm's instruction logic.

py-evm's own computation object spends most of its time on validation, logging and objects for stack, memory, code and
gas. This one offers the same methods to py-evm's instructions on plain values: the stack is a list of integers, memory
a bytearray. Its loop takes price and logic of each opcode from flat tables.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from eth.exceptions import FullStack, Halt, InsufficientStack, OutOfGas, VMError

from kroma_core.codec.receipts import Log
from kroma_core.types import Address
from kroma_engine_pyevm.environment import BlockEnvironment, Message, TransactionContext
from kroma_engine_pyevm.state import WorldState

STACK_LIMIT = 1024
CALL_DEPTH_LIMIT = 1024
_JUMPDEST = 0x5B
_PUSH1 = 0x60
_PUSH32 = 0x7F
_DEEPEST_OPERAND = 17
"""SWAP16 reaches this far into the stack."""
_CODE_PADDING = bytes(33)
"""So that neither the program counter nor an operand of PUSH leaves the code: it ends in STOP."""

Instruction = Callable[[Any], Any]


@attrs.frozen(kw_only=True)
class Precompile:
    """A contract that the node computes itself. `run` raises `VMError` for input it refuses.

    `reads` says how many bytes of its input matter, where the price does not grow with all of them.
    """

    gas: Callable[[bytes], int]
    run: Callable[[bytes], bytes]
    reads: Callable[[memoryview], int] | None = None


class Short(OutOfGas):
    """The frame has less gas than `needed`."""

    def __init__(self, reason: str, needed: int) -> None:
        super().__init__(reason)
        self.needed = needed


class Watch(Protocol):
    """Whoever looks on while frames run, for a trace."""

    def enter(self, frame: Frame, *, creates: bool) -> None:
        """A frame is about to run, its value transferred; one that has failed already is left at once."""
        ...

    def leave(self, frame: Frame) -> None:
        """A frame has ended; what a failed creation did to the state is undone by now."""
        ...


@attrs.frozen(kw_only=True)
class Machine:
    """Instruction set and precompiles of one set of rules: fixed price and logic by opcode."""

    prices: tuple[int, ...] = attrs.field(repr=False)
    instructions: tuple[Instruction, ...] = attrs.field(repr=False)
    precompiles: Mapping[Address, Precompile] = attrs.field(repr=False)
    initcode_limit: int | None
    """Bytes of creation code; None before it was limited and priced (EIP-3860)."""
    destroys_only_new: bool
    """SELFDESTRUCT deletes only contracts of the same transaction (EIP-6780)."""
    delegations: bool
    """Accounts may delegate to other code (EIP-7702)."""
    watch: Watch | None = attrs.field(default=None, eq=False, repr=False)


@functools.lru_cache(maxsize=512)
def jump_destinations(code: bytes) -> bytes:
    """For each byte of `code`, 1 where it is a JUMPDEST and no operand of a PUSH, else 0.

    A byte each, not a set of numbers: code that is nothing but JUMPDEST would make a hundred times of its size.
    """
    found = bytearray(len(code))
    position = 0
    end = len(code)
    while position < end:
        opcode = code[position]
        if opcode == _JUMPDEST:
            found[position] = 1
        elif _PUSH1 <= opcode <= _PUSH32:
            position += opcode - _PUSH1 + 1
        position += 1
    return bytes(found)


def memory_price(words: int) -> int:
    """Gas for memory of this many 32-byte words."""
    return 3 * words + words * words // 512


class Frame:
    """One running call: what py-evm calls a computation, with the methods that its instructions use.

    `gas` is what is left of the call's gas; `failure` says how it failed, None while it has not.
    """

    def __init__(
        self,
        machine: Machine,
        state: WorldState,
        environment: BlockEnvironment,
        message: Message,
        transaction_context: TransactionContext,
    ) -> None:
        self.machine = machine
        self.world = state
        self.state = state
        self.environment = environment
        self.msg = message
        self.transaction_context = transaction_context
        self.code = message.code
        self.stack: list[int] = []
        self.memory = self._memory = bytearray()
        self.gas = message.gas
        self.pc = 0
        self.return_data = b""
        self.output = b""
        self._error: VMError | None = None
        self._destinations: bytes | None = None

    # --- running

    def execute(self) -> None:
        """Run the code to its end, good or bad."""
        machine = self.machine
        prices = machine.prices
        instructions = machine.instructions
        code = self.code + _CODE_PADDING
        self.padded_code = code
        try:
            while True:
                opcode = code[self.pc]
                self.pc += 1
                gas = self.gas - prices[opcode]
                if gas < 0:
                    self.gas = 0
                    raise OutOfGas(f"opcode 0x{opcode:02x}")
                self.gas = gas
                instructions[opcode](self)
        except Halt:
            return
        except IndexError:
            # Instructions pop from the stack without looking; the padding keeps every other index in range.
            if len(self.stack) > _DEEPEST_OPERAND:
                raise  # not the stack: a mistake elsewhere must not pass for a failed call
            self._fail(InsufficientStack("stack underflow"))
        except VMError as error:
            self._fail(error)

    def run_precompile(self, precompile: Precompile) -> None:
        with memoryview(self.msg.data) as given:  # not kept by the traceback of what `run` raises
            data = bytes(given if precompile.reads is None else given[: precompile.reads(given)])
        try:
            self.consume_gas(precompile.gas(data), "precompile")
            self.output = precompile.run(data)
        except VMError as error:
            self._fail(error)

    def _fail(self, error: VMError) -> None:
        self._error = error
        if error.burns_gas:
            self.gas = 0
        if error.erases_return_data:
            self.output = b""

    def fail(self, error: VMError) -> None:
        """End the frame as failed from outside of its code: what it created could not be stored."""
        self._fail(error)

    def refuse(self, reason: str) -> None:
        """End the frame as failed before it began, with all its gas left."""
        self._error = VMError(reason)

    @property
    def succeeded(self) -> bool:
        return self._error is None

    @property
    def failure(self) -> VMError | None:
        return self._error

    @property
    def destinations(self) -> bytes:
        """Where the code may be jumped into, as `jump_destinations` has it."""
        if self._destinations is None:
            self._destinations = jump_destinations(self.code)
        return self._destinations

    # --- gas

    def consume_gas(self, amount: int, reason: str) -> None:
        gas = self.gas - amount
        if gas < 0:
            raise Short(reason, amount)
        self.gas = gas

    # --- memory

    def extend_memory(self, start_position: int, size: int) -> None:
        """Pay for, and add, the memory that this stretch needs."""
        if not size:
            return
        have = len(self.memory)
        end = start_position + size
        if end <= have:
            return
        words = (end + 31) >> 5
        gas = self.gas - memory_price(words) + memory_price(have >> 5)
        if gas < 0:
            raise Short("memory", self.gas - gas)
        self.gas = gas
        self.memory.extend(bytes((words << 5) - have))

    def memory_write(self, start_position: int, size: int, value: bytes) -> None:
        if size:
            self.memory[start_position : start_position + size] = value

    def memory_view(self, start_position: int, size: int) -> bytes | memoryview:
        """A stretch of memory without copying it. Memory cannot grow until the view is released."""
        return memoryview(self.memory)[start_position : start_position + size] if size else b""

    def memory_read_bytes(self, start_position: int, size: int) -> bytes:
        return bytes(self.memory[start_position : start_position + size]) if size else b""

    def memory_copy(self, destination: int, source: int, length: int) -> None:
        if length:
            self.memory[destination : destination + length] = self.memory[source : source + length]

    # --- stack, as py-evm's instructions use it

    def stack_push_int(self, value: int) -> None:
        if len(self.stack) >= STACK_LIMIT:
            raise FullStack("stack overflow")
        self.stack.append(value)

    def stack_push_bytes(self, value: bytes) -> None:
        if len(self.stack) >= STACK_LIMIT:
            raise FullStack("stack overflow")
        self.stack.append(int.from_bytes(value, "big"))

    def stack_pop1_int(self) -> int:
        return self.stack.pop()

    def stack_pop1_bytes(self) -> bytes:
        value = self.stack.pop()
        return value.to_bytes((value.bit_length() + 7) >> 3 or 1, "big")

    def stack_pop_ints(self, num_items: int) -> tuple[int, ...]:
        stack = self.stack
        if num_items > len(stack):
            raise InsufficientStack("stack underflow")
        values = tuple(stack[-num_items:][::-1])
        del stack[-num_items:]
        return values

    # --- logs

    def add_log_entry(self, account: Address, topics: tuple[int, ...], data: bytes) -> None:
        self.world.add_log(Log(account, tuple([topic.to_bytes(32, "big") for topic in topics]), data))
