"""Instruction sets: for each set of EVM rules, price and logic by opcode.

They begin as py-evm's tables, flattened; on top come the instructions that py-evm has wrong or does not have
(`calls`, storage, CLZ), and those that most bytecode consists of, written for speed (`fast`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth.exceptions import InvalidInstruction, OutOfGas, WriteProtection
from eth.vm import opcode_values as op
from eth.vm.forks.cancun.opcodes import CANCUN_OPCODES
from eth.vm.forks.paris.opcodes import PARIS_OPCODES
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.shanghai.opcodes import SHANGHAI_OPCODES

from kroma_core.forks import EvmRules
from kroma_engine_pyevm import calls, fast
from kroma_engine_pyevm.frames import Frame, Instruction

CLZ = 0x1E
_COLD_SLOT_GAS = 2100
_WARM_GAS = 100
_SET_GAS = 20_000
_RESET_GAS = 2900
_CLEAR_REFUND = 4800
_STIPEND = 2300

_PY_EVM = {
    EvmRules.LONDON: PARIS_OPCODES,
    EvmRules.SHANGHAI: SHANGHAI_OPCODES,
    EvmRules.CANCUN: CANCUN_OPCODES,
    EvmRules.PRAGUE: PRAGUE_OPCODES,
    EvmRules.OSAKA: PRAGUE_OPCODES,
}


def op_undefined(frame: Frame) -> None:
    raise InvalidInstruction(f"no instruction at {frame.pc - 1}")


def op_sload(frame: Frame) -> None:
    slot = frame.stack.pop()
    world = frame.world
    address = frame.msg.storage_address
    _pay_slot(frame, slot, warm_gas=_WARM_GAS)
    frame.stack.append(world.get_storage(address, slot))


def _pay_slot(frame: Frame, slot: int, warm_gas: int) -> None:
    world = frame.world
    address = frame.msg.storage_address
    if (address, slot) in world.warm_slots:
        frame.consume_gas(warm_gas, "warm slot")
    else:
        world.mark_storage_warm(address, slot)
        frame.consume_gas(_COLD_SLOT_GAS, "cold slot")


def op_sstore(frame: Frame) -> None:
    """Spec: EIP-2200 with the numbers of EIP-2929 and EIP-3529."""
    if frame.msg.is_static:
        raise WriteProtection("SSTORE inside a static call")
    if frame.gas <= _STIPEND:
        raise OutOfGas("SSTORE with no more than a stipend")
    slot = frame.stack.pop()
    value = frame.stack.pop()
    world = frame.world
    address = frame.msg.storage_address
    _pay_slot(frame, slot, warm_gas=0)
    current = world.get_storage(address, slot)
    if current == value:
        frame.consume_gas(_WARM_GAS, "SSTORE without effect")
        return
    original = world.get_storage(address, slot, from_journal=False)
    if original == current:
        frame.consume_gas(_RESET_GAS if original else _SET_GAS, "SSTORE")
        if original and not value:
            world.add_refund(_CLEAR_REFUND)
    else:
        frame.consume_gas(_WARM_GAS, "SSTORE again")
        refund = 0
        if original:
            if not current:
                refund -= _CLEAR_REFUND
            if not value:
                refund += _CLEAR_REFUND
        if original == value:
            refund += (_RESET_GAS if original else _SET_GAS) - _WARM_GAS
        if refund:
            world.add_refund(refund)
    world.set_storage(address, slot, value)


def op_tload(frame: Frame) -> None:
    frame.stack.append(frame.world.get_transient_storage(frame.msg.storage_address, frame.stack.pop()))


def op_tstore(frame: Frame) -> None:
    if frame.msg.is_static:
        raise WriteProtection("TSTORE inside a static call")
    slot = frame.stack.pop()
    frame.world.set_transient_storage(frame.msg.storage_address, slot, frame.stack.pop())


def op_clz(frame: Frame) -> None:
    """Leading zero bits of a word. Spec: EIP-7939."""
    frame.stack.append(256 - frame.stack.pop().bit_length())


def op_coinbase(frame: Frame) -> None:
    frame.stack_push_bytes(frame.environment.coinbase)


def op_timestamp(frame: Frame) -> None:
    frame.stack_push_int(frame.environment.timestamp)


def op_number(frame: Frame) -> None:
    frame.stack_push_int(frame.environment.number)


def op_prevrandao(frame: Frame) -> None:
    frame.stack_push_bytes(frame.environment.prev_randao)


def op_gaslimit(frame: Frame) -> None:
    frame.stack_push_int(frame.environment.gas_limit)


def op_basefee(frame: Frame) -> None:
    frame.stack_push_int(frame.environment.base_fee)


def op_blobbasefee(frame: Frame) -> None:
    """Always 1 on L2. Spec: ecotone/overview.md, "Execution Layer"."""
    frame.stack_push_int(1)


def op_chainid(frame: Frame) -> None:
    frame.stack_push_int(frame.environment.chain_id)


def op_blockhash(frame: Frame) -> None:
    frame.stack_push_bytes(frame.environment.ancestor_hash(frame.stack.pop()))


_OWN: Mapping[int, tuple[int, Instruction]] = {
    op.CALL: (0, calls.op_call),
    op.CALLCODE: (0, calls.op_callcode),
    op.DELEGATECALL: (0, calls.op_delegatecall),
    op.STATICCALL: (0, calls.op_staticcall),
    op.CREATE: (0, calls.op_create),
    op.CREATE2: (0, calls.op_create2),
    op.SELFDESTRUCT: (5000, calls.op_selfdestruct),
    op.SLOAD: (0, op_sload),
    op.SSTORE: (0, op_sstore),
    op.COINBASE: (2, op_coinbase),
    op.TIMESTAMP: (2, op_timestamp),
    op.NUMBER: (2, op_number),
    op.PREVRANDAO: (2, op_prevrandao),
    op.GASLIMIT: (2, op_gaslimit),
    op.BASEFEE: (2, op_basefee),
    op.CHAINID: (2, op_chainid),
    op.BLOCKHASH: (20, op_blockhash),
}
_FROM_CANCUN: Mapping[int, tuple[int, Instruction]] = {
    op.TLOAD: (100, op_tload),
    op.TSTORE: (100, op_tstore),
    op.BLOBBASEFEE: (2, op_blobbasefee),
}
_FROM_OSAKA: Mapping[int, tuple[int, Instruction]] = {CLZ: (5, op_clz)}


def instruction_set(rules: EvmRules, *, selfdestruct: bool = True) -> tuple[tuple[int, ...], tuple[Instruction, ...]]:
    """Prices and logic by opcode; opcodes that are not defined fail their frame."""
    prices = [0] * 256
    instructions: list[Instruction] = [op_undefined] * 256
    own = {**_OWN, **fast.INSTRUCTIONS}
    for opcode, instruction in _PY_EVM[rules].items():
        if opcode not in own:
            plain: Any = instruction  # the API that py-evm declares does not name these two attributes
            prices[opcode] = plain.gas_cost
            instructions[opcode] = plain.logic_fn
    if rules >= EvmRules.SHANGHAI:
        own |= fast.FROM_SHANGHAI
    if rules >= EvmRules.CANCUN:
        own |= _FROM_CANCUN
    if rules >= EvmRules.OSAKA:
        own |= _FROM_OSAKA
    for opcode, (price, logic) in own.items():
        prices[opcode] = price
        instructions[opcode] = logic
    if not selfdestruct:
        instructions[op.SELFDESTRUCT] = op_undefined
    return tuple(prices), tuple(instructions)
