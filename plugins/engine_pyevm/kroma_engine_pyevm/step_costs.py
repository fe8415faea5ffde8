"""What an instruction costs before it runs, and whether it can run: known at once, not found out piece by piece.

Provers are told the whole price of an instruction, also of one that cannot pay it, and what that one would have
refunded. The machine itself pays as it goes, so this says the same a second time.
Spec: yellow paper, appendix H; EIP-150, 2200, 2929, 3529, 3860, 5656.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eth.vm import opcode_values as op

from kroma_core.types import Address
from kroma_engine_pyevm.calls import COLD_ACCOUNT_GAS, INITCODE_WORD_GAS, WARM_GAS
from kroma_engine_pyevm.frames import STACK_LIMIT, Frame, Machine, memory_price
from kroma_engine_pyevm.instructions import op_undefined

_ADDRESS_MASK = 2**160 - 1
_U64 = 2**64
_MOST_MEMORY = 0x1FFFFFFFE0
"""Bytes of memory beyond which it has no price."""
_COLD_SLOT = 2100
_SENTRY = 2300
_SET = 20_000
_RESET = 2900
_CLEAR_REFUND = 4800
_VALUE = 9000
_NEW_ACCOUNT = 25_000

OUT_OF_GAS = "out of gas"
OVERFLOW = "gas uint64 overflow"


class StepCost(NamedTuple):
    """Price, what it adds to the refunds, and why the instruction cannot run, if it cannot."""

    gas: int
    refund: int = 0
    failure: str | None = None


class _NoPrice(Exception):
    """What is asked for is so much that only the fixed part of the price is told."""


class StepCosts:
    """The prices of one machine, before anything was wrapped around its instructions."""

    def __init__(self, machine: Machine) -> None:
        self._prices = machine.prices
        self._initcode_limit = machine.initcode_limit
        self._missing = frozenset(
            [opcode for opcode, logic in enumerate(machine.instructions) if logic is op_undefined]
        ) - {op.SELFDESTRUCT}
        """What Kroma took away is not among them: it is priced, and then fails."""
        self._growing: Mapping[int, Callable[[Frame, int], tuple[int, int]]] = {
            op.SLOAD: self._sload,
            op.SSTORE: self._sstore,
            op.CREATE: self._create,
            op.CREATE2: self._create,
            op.CALL: self._call,
            op.CALLCODE: self._call,
            op.DELEGATECALL: self._call,
            op.STATICCALL: self._call,
            **dict.fromkeys((op.BALANCE, op.EXTCODESIZE, op.EXTCODEHASH), _account_access),
            op.EXTCODECOPY: _code_copy,
            op.SELFDESTRUCT: _selfdestruct,
            op.EXP: lambda frame, gas: (10 + 50 * ((frame.stack[-2].bit_length() + 7) // 8), 0),
            op.SHA3: lambda frame, gas: (_memory(frame, (0, 1)) + _words(frame.stack[-2], 6), 0),
            **{
                opcode: (lambda frame, gas: (_memory(frame, (0, 2)) + _words(frame.stack[-3], 3), 0))
                for opcode in (op.CALLDATACOPY, op.CODECOPY, op.RETURNDATACOPY)
            },
            op.MCOPY: _memory_copy,
            op.MLOAD: lambda frame, gas: (_memory_of(frame, _end(frame.stack[-1], 32)), 0),
            op.MSTORE: lambda frame, gas: (_memory_of(frame, _end(frame.stack[-1], 32)), 0),
            op.MSTORE8: lambda frame, gas: (_memory_of(frame, _end(frame.stack[-1], 1)), 0),
            op.RETURN: lambda frame, gas: (_memory(frame, (0, 1)), 0),
            op.REVERT: lambda frame, gas: (_memory(frame, (0, 1)), 0),
            **{op.LOG0 + topics: _log(topics) for topics in range(5)},
        }

    def of(self, opcode: int, frame: Frame) -> StepCost:
        """The price of the instruction that `frame` is about to run; nothing of it was paid yet."""
        missing = opcode in self._missing
        price = 0 if missing else _FIXED.get(opcode, self._prices[opcode])
        takes, gives = (0, 0) if missing else _STACK.get(opcode, (0, 0))
        size = len(frame.stack)
        if size < takes:
            return StepCost(price, failure=f"stack underflow ({size} <=> {takes})")
        limit = STACK_LIMIT + takes - gives
        if size > limit:
            return StepCost(price, failure=f"stack limit reached {size} ({limit})")
        if frame.gas < price:
            return StepCost(price, failure=OUT_OF_GAS)
        grows = None if missing else self._growing.get(opcode)
        if grows is None:
            return StepCost(price)
        if _reach(opcode, frame.stack) is None:
            return StepCost(price, failure=OVERFLOW)
        left = frame.gas - price
        try:
            more, refund = grows(frame, left)
        except _NoPrice:
            return StepCost(price, failure=OUT_OF_GAS)
        return StepCost(price + more, refund, OUT_OF_GAS if left < more else None)

    def _sload(self, frame: Frame, gas: int) -> tuple[int, int]:
        warm = (frame.msg.storage_address, frame.stack[-1]) in frame.world.warm_slots
        return WARM_GAS if warm else _COLD_SLOT, 0

    def _sstore(self, frame: Frame, gas: int) -> tuple[int, int]:
        if gas <= _SENTRY:
            raise _NoPrice
        world, own = frame.world, frame.msg.storage_address
        slot, value = frame.stack[-1], frame.stack[-2]
        price = 0 if (own, slot) in world.warm_slots else _COLD_SLOT
        current = world.get_storage(own, slot)
        if current == value:
            return price + WARM_GAS, 0
        original = world.get_storage(own, slot, from_journal=False)
        if original == current:
            return price + (_RESET if original else _SET), _CLEAR_REFUND if original and not value else 0
        refund = 0
        if original and not current:
            refund -= _CLEAR_REFUND
        if original and not value:
            refund += _CLEAR_REFUND
        if original == value:
            refund += (_RESET if original else _SET) - WARM_GAS
        return price + WARM_GAS, refund

    def _create(self, frame: Frame, gas: int) -> tuple[int, int]:
        stack = frame.stack
        size = stack[-3]
        price = _memory(frame, (1, 2))
        word = 6 if len(stack) > 3 and frame.padded_code[frame.pc - 1] == op.CREATE2 else 0
        if self._initcode_limit is not None:
            if size > self._initcode_limit:
                raise _NoPrice
            word += INITCODE_WORD_GAS
        return price + _words(size, word), 0

    def _call(self, frame: Frame, gas: int) -> tuple[int, int]:
        stack, world = frame.stack, frame.world
        opcode = frame.padded_code[frame.pc - 1]
        to = _address(stack[-2])
        cold = 0 if to in world.warm_addresses else COLD_ACCOUNT_GAS - WARM_GAS
        if gas < cold:
            raise _NoPrice
        base = 0
        if opcode in (op.CALL, op.CALLCODE) and stack[-3]:
            base += _VALUE
            if opcode == op.CALL and world.account_is_empty(to):
                base += _NEW_ACCOUNT
        end = _reach(opcode, stack)
        assert end is not None
        base += _memory_of(frame, end)
        # What is left may be less than nothing here: the reference's counter then begins again from the top.
        available = (gas - cold - base) % _U64
        passed = min(stack[-1], available - available // 64)
        if base + passed >= _U64:
            raise _NoPrice
        return base + passed + cold, 0


# --- memory


def _end(start: int, size: int) -> int:
    return start + size if size else 0


def _memory_of(frame: Frame, end: int) -> int:
    """Gas for having memory up to `end`."""
    if end > _MOST_MEMORY:
        raise _NoPrice
    have = len(frame.memory)
    return memory_price((end + 31) >> 5) - memory_price(have >> 5) if end > have else 0


def _memory(frame: Frame, stretch: tuple[int, int]) -> int:
    start, size = (frame.stack[-1 - place] for place in stretch)
    return _memory_of(frame, _end(start, size))


def _words(size: int, price: int) -> int:
    return price * ((size + 31) // 32)


_STRETCHES: Mapping[int, tuple[tuple[int, int], ...]] = {
    **dict.fromkeys((op.SHA3, op.RETURN, op.REVERT, *range(op.LOG0, op.LOG4 + 1)), ((0, 1),)),
    **dict.fromkeys((op.CALLDATACOPY, op.CODECOPY, op.RETURNDATACOPY), ((0, 2),)),
    op.EXTCODECOPY: ((1, 3),),
    op.MCOPY: ((0, 2), (1, 2)),
    op.CREATE: ((1, 2),),
    op.CREATE2: ((1, 2),),
    op.CALL: ((3, 4), (5, 6)),
    op.CALLCODE: ((3, 4), (5, 6)),
    op.DELEGATECALL: ((2, 3), (4, 5)),
    op.STATICCALL: ((2, 3), (4, 5)),
}
"""Which words of the stack, from the top, say where a stretch of memory begins and how long it is."""
_WORDS_WIDE: Mapping[int, int] = {op.MLOAD: 32, op.MSTORE: 32, op.MSTORE8: 1}


def _reach(opcode: int, stack: list[int]) -> int | None:
    """Where the memory that the instruction uses ends; None where 64 bits cannot say."""
    wide = _WORDS_WIDE.get(opcode)
    ends = [_end(stack[-1], wide)] if wide else [0]
    for start, size in _STRETCHES.get(opcode, ()):
        length = stack[-1 - size]
        if length >= _U64 or (length and stack[-1 - start] >= _U64):
            return None
        ends.append(_end(stack[-1 - start], length))
    end = max(ends)
    return end if end <= _U64 - 32 else None


# --- accounts, code, logs


def _address(word: int) -> Address:
    return (word & _ADDRESS_MASK).to_bytes(20, "big")


def _account_access(frame: Frame, gas: int) -> tuple[int, int]:
    return 0 if _address(frame.stack[-1]) in frame.world.warm_addresses else COLD_ACCOUNT_GAS - WARM_GAS, 0


def _code_copy(frame: Frame, gas: int) -> tuple[int, int]:
    price = _memory(frame, (1, 3)) + _words(frame.stack[-4], 3)
    return price + _account_access(frame, gas)[0], 0


def _memory_copy(frame: Frame, gas: int) -> tuple[int, int]:
    end = _reach(op.MCOPY, frame.stack)
    assert end is not None
    return _memory_of(frame, end) + _words(frame.stack[-3], 3), 0


def _selfdestruct(frame: Frame, gas: int) -> tuple[int, int]:
    to, world = _address(frame.stack[-1]), frame.world
    price = 0 if to in world.warm_addresses else COLD_ACCOUNT_GAS
    if world.account_is_empty(to) and world.get_balance(frame.msg.storage_address):
        price += _NEW_ACCOUNT
    return price, 0


def _log(topics: int) -> Callable[[Frame, int], tuple[int, int]]:
    def price(frame: Frame, gas: int) -> tuple[int, int]:
        return _memory(frame, (0, 1)) + 375 + 375 * topics + 8 * frame.stack[-2], 0

    return price


# --- fixed parts


def _listed(sizes: Mapping[tuple[int, int], tuple[int, ...]]) -> dict[int, tuple[int, int]]:
    return {opcode: size for size, opcodes in sizes.items() for opcode in opcodes}


_STACK: Mapping[int, tuple[int, int]] = {
    **_listed(
        {
            (2, 1): (*range(0x01, 0x08), 0x0A, 0x0B, *range(0x10, 0x15), *range(0x16, 0x19), *range(0x1A, 0x1E), 0x20),
            (3, 1): (0x08, 0x09, 0xF0),
            (1, 1): (0x15, 0x19, 0x31, 0x35, 0x3B, 0x3F, 0x40, 0x49, 0x51, 0x54, 0x5C),
            (0, 1): (0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D, *range(0x41, 0x49), 0x4A, 0x58, 0x59, 0x5A, 0x5F),
            (3, 0): (0x37, 0x39, 0x3E, 0x5E),
            (4, 0): (0x3C,),
            (1, 0): (0x50, 0x56, 0xFF),
            (2, 0): (0x52, 0x53, 0x55, 0x57, 0x5D, 0xF3, 0xFD),
            (7, 1): (0xF1, 0xF2),
            (6, 1): (0xF4, 0xFA),
            (4, 1): (0xF5,),
        }
    ),
    **{0x60 + index: (0, 1) for index in range(32)},
    **{0x80 + index: (index + 1, index + 2) for index in range(16)},
    **{0x90 + index: (index + 2, index + 2) for index in range(16)},
    **{0xA0 + index: (index + 2, 0) for index in range(5)},
}
"""How many words an instruction takes from the stack, and how many it leaves there in their place."""
_FIXED: Mapping[int, int] = {
    **dict.fromkeys((op.BALANCE, op.EXTCODESIZE, op.EXTCODECOPY, op.EXTCODEHASH), WARM_GAS),
    **dict.fromkeys((op.CALL, op.CALLCODE, op.DELEGATECALL, op.STATICCALL), WARM_GAS),
    **dict.fromkeys((op.CREATE, op.CREATE2), 32_000),
    **dict.fromkeys((op.CALLDATACOPY, op.CODECOPY, op.RETURNDATACOPY, op.MCOPY), 3),
    **dict.fromkeys((op.MLOAD, op.MSTORE, op.MSTORE8), 3),
    **dict.fromkeys((op.EXP, op.SLOAD, op.SSTORE, op.RETURN, op.REVERT, *range(op.LOG0, op.LOG4 + 1)), 0),
    op.SHA3: 30,
    op.SELFDESTRUCT: 5000,
}
"""The part of a price that does not depend on what is done, where the machine counts it differently."""
