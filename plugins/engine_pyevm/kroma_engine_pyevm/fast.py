"""The instructions that most bytecode consists of, written for speed.

They work on the frame's stack and memory directly: three to five times as fast as py-evm's, with the same results. A
stack that is too short shows as an `IndexError`, which the frame's loop turns into a failure.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth.exceptions import FullStack, Halt, InvalidJumpDestination, Revert
from eth.vm import opcode_values as op

from kroma_core.codec.keccak import keccak256
from kroma_engine_pyevm.frames import STACK_LIMIT, Frame, Instruction

_MASK = 2**256 - 1
_SIGN = 2**255
_MODULUS = 2**256


def _push(size: int) -> Instruction:
    def push(frame: Frame) -> None:
        stack = frame.stack
        if len(stack) >= STACK_LIMIT:
            raise FullStack("stack overflow")
        start = frame.pc
        frame.pc = end = start + size
        stack.append(int.from_bytes(frame.padded_code[start:end], "big"))

    return push


def _push1(frame: Frame) -> None:
    stack = frame.stack
    if len(stack) >= STACK_LIMIT:
        raise FullStack("stack overflow")
    pc = frame.pc
    stack.append(frame.padded_code[pc])
    frame.pc = pc + 1


def _push0(frame: Frame) -> None:
    stack = frame.stack
    if len(stack) >= STACK_LIMIT:
        raise FullStack("stack overflow")
    stack.append(0)


def _dup(position: int) -> Instruction:
    index = -position

    def dup(frame: Frame) -> None:
        stack = frame.stack
        if len(stack) >= STACK_LIMIT:
            raise FullStack("stack overflow")
        stack.append(stack[index])

    return dup


def _swap(position: int) -> Instruction:
    index = -1 - position

    def swap(frame: Frame) -> None:
        stack = frame.stack
        stack[-1], stack[index] = stack[index], stack[-1]

    return swap


def _pop(frame: Frame) -> None:
    frame.stack.pop()


def _add(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = (left + stack[-1]) & _MASK


def _sub(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = (left - stack[-1]) & _MASK


def _mul(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = (left * stack[-1]) & _MASK


def _div(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    right = stack[-1]
    stack[-1] = left // right if right else 0


def _mod(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    right = stack[-1]
    stack[-1] = left % right if right else 0


def _lt(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = 1 if left < stack[-1] else 0


def _gt(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = 1 if left > stack[-1] else 0


def _slt(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = 1 if left ^ _SIGN < stack[-1] ^ _SIGN else 0


def _sgt(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = 1 if left ^ _SIGN > stack[-1] ^ _SIGN else 0


def _eq(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] = 1 if left == stack[-1] else 0


def _iszero(frame: Frame) -> None:
    stack = frame.stack
    stack[-1] = 0 if stack[-1] else 1


def _and(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] &= left


def _or(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] |= left


def _xor(frame: Frame) -> None:
    stack = frame.stack
    left = stack.pop()
    stack[-1] ^= left


def _not(frame: Frame) -> None:
    stack = frame.stack
    stack[-1] ^= _MASK


def _shl(frame: Frame) -> None:
    stack = frame.stack
    shift = stack.pop()
    stack[-1] = (stack[-1] << shift) & _MASK if shift < 256 else 0


def _shr(frame: Frame) -> None:
    stack = frame.stack
    shift = stack.pop()
    stack[-1] = stack[-1] >> shift if shift < 256 else 0


def _sar(frame: Frame) -> None:
    stack = frame.stack
    shift = min(stack.pop(), 256)
    value = stack[-1]
    if value >= _SIGN:
        value -= _MODULUS
    stack[-1] = (value >> shift) & _MASK


def _address(frame: Frame) -> None:
    frame.stack_push_bytes(frame.msg.storage_address)


def _caller(frame: Frame) -> None:
    frame.stack_push_bytes(frame.msg.sender)


def _callvalue(frame: Frame) -> None:
    frame.stack_push_int(frame.msg.value)


def _calldataload(frame: Frame) -> None:
    stack = frame.stack
    start = stack[-1]
    word = frame.msg.data[start : start + 32]
    size = len(word)
    stack[-1] = int.from_bytes(word, "big") << (256 - 8 * size) if size < 32 else int.from_bytes(word, "big")


def _calldatasize(frame: Frame) -> None:
    frame.stack_push_int(len(frame.msg.data))


def _returndatasize(frame: Frame) -> None:
    frame.stack_push_int(len(frame.return_data))


def _gas(frame: Frame) -> None:
    frame.stack_push_int(frame.gas)


def _pc(frame: Frame) -> None:
    frame.stack_push_int(frame.pc - 1)


def _jump(frame: Frame) -> None:
    destination = frame.stack.pop()
    destinations = frame.destinations
    if destination >= len(destinations) or not destinations[destination]:
        raise InvalidJumpDestination(f"jump to {destination}")
    frame.pc = destination


def _jumpi(frame: Frame) -> None:
    stack = frame.stack
    destination = stack.pop()
    if stack.pop():
        destinations = frame.destinations
        if destination >= len(destinations) or not destinations[destination]:
            raise InvalidJumpDestination(f"jump to {destination}")
        frame.pc = destination


def _jumpdest(frame: Frame) -> None:
    pass


def _mload(frame: Frame) -> None:
    stack = frame.stack
    start = stack[-1]
    end = start + 32
    if end > len(frame.memory):
        frame.extend_memory(start, 32)
    stack[-1] = int.from_bytes(frame.memory[start:end], "big")


def _mstore(frame: Frame) -> None:
    stack = frame.stack
    start = stack.pop()
    value = stack.pop()
    end = start + 32
    if end > len(frame.memory):
        frame.extend_memory(start, 32)
    frame.memory[start:end] = value.to_bytes(32, "big")


def _mstore8(frame: Frame) -> None:
    stack = frame.stack
    start = stack.pop()
    value = stack.pop()
    frame.extend_memory(start, 1)
    frame.memory[start] = value & 0xFF


def _keccak(frame: Frame) -> None:
    stack = frame.stack
    start = stack.pop()
    size = stack[-1]
    frame.extend_memory(start, size)
    frame.consume_gas(6 * ((size + 31) >> 5), "KECCAK256")
    stack[-1] = int.from_bytes(keccak256(bytes(frame.memory[start : start + size]) if size else b""), "big")


def _codecopy(frame: Frame) -> None:
    target, start, size = frame.stack_pop_ints(3)
    frame.extend_memory(target, size)
    frame.consume_gas(3 * ((size + 31) >> 5), "CODECOPY")
    if size:
        frame.memory[target : target + size] = frame.code[start : start + size].ljust(size, b"\0")


def _calldatacopy(frame: Frame) -> None:
    target, start, size = frame.stack_pop_ints(3)
    frame.extend_memory(target, size)
    frame.consume_gas(3 * ((size + 31) >> 5), "CALLDATACOPY")
    if size:
        frame.memory[target : target + size] = bytes(frame.msg.data[start : start + size]).ljust(size, b"\0")


def _return(frame: Frame) -> None:
    start = frame.stack.pop()
    size = frame.stack.pop()
    frame.extend_memory(start, size)
    frame.output = bytes(frame.memory[start : start + size]) if size else b""
    raise Halt("RETURN")


def _revert(frame: Frame) -> None:
    start = frame.stack.pop()
    size = frame.stack.pop()
    frame.extend_memory(start, size)
    frame.output = bytes(frame.memory[start : start + size]) if size else b""
    raise Revert("REVERT")


INSTRUCTIONS: Mapping[int, tuple[int, Instruction]] = {
    **{op.PUSH1 + size - 1: (3, _push(size)) for size in range(2, 33)},
    **{op.DUP1 + position - 1: (3, _dup(position)) for position in range(1, 17)},
    **{op.SWAP1 + position - 1: (3, _swap(position)) for position in range(1, 17)},
    op.PUSH1: (3, _push1),
    op.POP: (2, _pop),
    op.ADD: (3, _add),
    op.SUB: (3, _sub),
    op.MUL: (5, _mul),
    op.DIV: (5, _div),
    op.MOD: (5, _mod),
    op.LT: (3, _lt),
    op.GT: (3, _gt),
    op.SLT: (3, _slt),
    op.SGT: (3, _sgt),
    op.EQ: (3, _eq),
    op.ISZERO: (3, _iszero),
    op.AND: (3, _and),
    op.OR: (3, _or),
    op.XOR: (3, _xor),
    op.NOT: (3, _not),
    op.SHL: (3, _shl),
    op.SHR: (3, _shr),
    op.SAR: (3, _sar),
    op.ADDRESS: (2, _address),
    op.CALLER: (2, _caller),
    op.CALLVALUE: (2, _callvalue),
    op.CALLDATALOAD: (3, _calldataload),
    op.CALLDATASIZE: (2, _calldatasize),
    op.CALLDATACOPY: (3, _calldatacopy),
    op.CODECOPY: (3, _codecopy),
    op.RETURNDATASIZE: (2, _returndatasize),
    op.GAS: (2, _gas),
    op.PC: (2, _pc),
    op.JUMP: (8, _jump),
    op.JUMPI: (10, _jumpi),
    op.JUMPDEST: (1, _jumpdest),
    op.MLOAD: (3, _mload),
    op.MSTORE: (3, _mstore),
    op.MSTORE8: (3, _mstore8),
    op.SHA3: (30, _keccak),
    op.RETURN: (0, _return),
    op.REVERT: (0, _revert),
}
FROM_SHANGHAI: Mapping[int, tuple[int, Instruction]] = {op.PUSH0: (2, _push0)}
