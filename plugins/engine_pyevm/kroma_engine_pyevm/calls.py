"""Calls and creations: the instructions that open a new frame, and what happens around a frame.

Written anew instead of taken from py-evm, whose versions charge creation code twice when a delegated sender creates,
look at an address's storage nowhere (EIP-7610), and check the size of creation code after the balance.
Spec: yellow paper, sections 7 and 8; EIP-150, 161, 170, 2929, 3541, 3860, 6780, 7610, 7702.
"""

from __future__ import annotations

from typing import cast

from eth.exceptions import (
    ContractCreationCollision,
    Halt,
    OutOfGas,
    ReservedBytesInCode,
    WriteProtection,
)

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode_bytes, encode_int, encode_list
from kroma_core.types import Address
from kroma_engine_pyevm.environment import BlockEnvironment, Message, TransactionContext
from kroma_engine_pyevm.frames import CALL_DEPTH_LIMIT, Frame, Machine
from kroma_engine_pyevm.state import WorldState

MAX_NONCE = 2**64 - 1
MAX_CODE_SIZE = 24_576
COLD_ACCOUNT_GAS = 2600
WARM_GAS = 100
CREATE_GAS = 32_000
INITCODE_WORD_GAS = 2
_HASH_WORD_GAS = 6
_CODE_BYTE_GAS = 200
_VALUE_GAS = 9000
_STIPEND = 2300
_NEW_ACCOUNT_GAS = 25_000
_DELEGATION = b"\xef\x01\x00"
_DELEGATION_SIZE = 23
_ADDRESS_MASK = 2**160 - 1


class CodeTooLarge(OutOfGas):
    """A creation returned more code than a contract may have."""


class CodeTooExpensive(OutOfGas):
    """A creation returned code that its gas does not pay for."""


def delegate_of(code: bytes) -> Address | None:
    """The address that this code delegates to, None for ordinary code. Spec: EIP-7702, "Delegation Designation"."""
    if len(code) == _DELEGATION_SIZE and code[:3] == _DELEGATION:
        return code[3:]
    return None


def delegation_to(address: Address) -> bytes:
    return _DELEGATION + address


def created_address(creator: Address, nonce: int) -> Address:
    """Where CREATE, or a transaction without recipient, puts a contract."""
    return keccak256(encode_list([encode_bytes(creator), encode_int(nonce)]))[12:]


def call(
    machine: Machine,
    state: WorldState,
    environment: BlockEnvironment,
    message: Message,
    context: TransactionContext,
) -> Frame:
    """Run a call to its end. The sender's balance was checked; state changes of a failed call are undone."""
    snapshot = state.snapshot()
    if message.transfers and message.value:
        state.delta_balance(message.sender, -message.value)
        state.delta_balance(message.storage_address, message.value)
    else:
        state.touch_account(message.storage_address)
    frame = Frame(machine, state, environment, message, context)
    if machine.watch is not None:
        machine.watch.enter(frame, creates=False)
    precompile = machine.precompiles.get(message.code_address) if message.code_address is not None else None
    if precompile is not None:
        frame.run_precompile(precompile)
    elif message.code:
        frame.execute()
    if machine.watch is not None:
        machine.watch.leave(frame)
    if not frame.succeeded:
        state.revert(snapshot)
    return frame


def create(
    machine: Machine,
    state: WorldState,
    environment: BlockEnvironment,
    message: Message,
    context: TransactionContext,
) -> Frame:
    """Run creation code and store what it returns. The creator's nonce was raised and its balance checked.

    The new address stays warm even if the creation fails.
    """
    address = message.storage_address
    state.mark_address_warm(address)
    frame = Frame(machine, state, environment, message, context)
    if state.has_code_or_nonce(address) or state.has_storage(address):
        frame.fail(ContractCreationCollision(f"0x{address.hex()}"))
        if machine.watch is not None:
            machine.watch.enter(frame, creates=True)
            machine.watch.leave(frame)
        return frame
    snapshot = state.snapshot()
    state.mark_created(address)
    state.set_nonce(address, 1)
    if message.value:
        state.delta_balance(message.sender, -message.value)
        state.delta_balance(address, message.value)
    if machine.watch is not None:
        machine.watch.enter(frame, creates=True)
    frame.execute()
    if frame.succeeded:
        _store_code(frame, address)
    if not frame.succeeded:
        state.revert(snapshot)
    if machine.watch is not None:
        machine.watch.leave(frame)
    return frame


def _store_code(frame: Frame, address: Address) -> None:
    code = frame.output
    price = len(code) * _CODE_BYTE_GAS
    if len(code) > MAX_CODE_SIZE:
        frame.fail(CodeTooLarge(f"code of {len(code)} bytes"))
    elif code[:1] == b"\xef":
        frame.fail(ReservedBytesInCode("code begins with 0xef"))
    elif frame.gas < price:
        frame.fail(CodeTooExpensive("storing code"))
    else:
        frame.gas -= price
        frame.world.set_code(address, code)


# --- instructions


def _forbid_static(frame: Frame) -> None:
    if frame.msg.is_static:
        raise WriteProtection("state change inside a static call")


def _load_account(frame: Frame, address: Address) -> None:
    """Pay for access to an account."""
    if address in frame.world.warm_addresses:
        frame.consume_gas(WARM_GAS, "warm account")
    else:
        frame.world.mark_address_warm(address)
        frame.consume_gas(COLD_ACCOUNT_GAS, "cold account")


def op_call(frame: Frame) -> None:
    gas, to, value, start, size, out_start, out_size = frame.stack_pop_ints(7)
    if value:
        _forbid_static(frame)
    address = (to & _ADDRESS_MASK).to_bytes(20, "big")
    _load_account(frame, address)
    extra = 0
    if value:
        extra = _VALUE_GAS
        if frame.world.account_is_empty(address):
            extra += _NEW_ACCOUNT_GAS
    _open_call(
        frame,
        gas=gas,
        extra=extra,
        sender=frame.msg.storage_address,
        storage_address=address,
        code_address=address,
        value=value,
        transfers=True,
        is_static=frame.msg.is_static,
        data=(start, size),
        out=(out_start, out_size),
    )


def op_callcode(frame: Frame) -> None:
    gas, to, value, start, size, out_start, out_size = frame.stack_pop_ints(7)
    address = (to & _ADDRESS_MASK).to_bytes(20, "big")
    _load_account(frame, address)
    own = frame.msg.storage_address
    _open_call(
        frame,
        gas=gas,
        extra=_VALUE_GAS if value else 0,
        sender=own,
        storage_address=own,
        code_address=address,
        value=value,
        transfers=True,
        is_static=frame.msg.is_static,
        data=(start, size),
        out=(out_start, out_size),
    )


def op_delegatecall(frame: Frame) -> None:
    gas, to, start, size, out_start, out_size = frame.stack_pop_ints(6)
    address = (to & _ADDRESS_MASK).to_bytes(20, "big")
    _load_account(frame, address)
    _open_call(
        frame,
        gas=gas,
        extra=0,
        sender=frame.msg.sender,
        storage_address=frame.msg.storage_address,
        code_address=address,
        value=frame.msg.value,
        transfers=False,
        is_static=frame.msg.is_static,
        data=(start, size),
        out=(out_start, out_size),
    )


def op_staticcall(frame: Frame) -> None:
    gas, to, start, size, out_start, out_size = frame.stack_pop_ints(6)
    address = (to & _ADDRESS_MASK).to_bytes(20, "big")
    _load_account(frame, address)
    _open_call(
        frame,
        gas=gas,
        extra=0,
        sender=frame.msg.storage_address,
        storage_address=address,
        code_address=address,
        value=0,
        transfers=True,
        is_static=True,
        data=(start, size),
        out=(out_start, out_size),
    )


def _open_call(
    frame: Frame,
    *,
    gas: int,
    extra: int,
    sender: Address,
    storage_address: Address,
    code_address: Address,
    value: int,
    transfers: bool,
    is_static: bool,
    data: tuple[int, int],
    out: tuple[int, int],
) -> None:
    """Pay for a call, run it, and take over what it gave. `extra` is the price of value and of a new account."""
    frame.extend_memory(*data)
    frame.extend_memory(*out)
    code = frame.world.get_code(code_address)
    code_source: Address | None = code_address
    if frame.machine.delegations:
        delegate = delegate_of(code)
        if delegate is not None:
            _load_account(frame, delegate)
            code = frame.world.get_code(delegate)
            code_source = None
    frame.consume_gas(extra, "call")
    available = frame.gas - frame.gas // 64
    passed = min(gas, available)
    frame.gas -= passed
    if value and transfers:
        passed += _STIPEND
    frame.return_data = b""
    if frame.msg.depth >= CALL_DEPTH_LIMIT or (
        value and transfers and frame.world.get_balance(frame.msg.storage_address) < value
    ):
        frame.gas += passed
        frame.stack.append(0)
        return
    given = frame.memory_view(*data)
    message = Message(
        sender=sender,
        storage_address=storage_address,
        code=code,
        code_address=code_source,
        data=given,
        value=value,
        gas=passed,
        depth=frame.msg.depth + 1,
        is_static=is_static,
        transfers=transfers,
    )
    child = call(frame.machine, frame.world, frame.environment, message, frame.transaction_context)
    if given:
        message.data = b""
        cast(memoryview, given).release()
    frame.gas += child.gas
    frame.stack.append(1 if child.succeeded else 0)
    output = child.output
    frame.return_data = output
    copied = min(out[1], len(output))
    if copied:
        frame.memory[out[0] : out[0] + copied] = output[:copied]


def op_create(frame: Frame) -> None:
    _forbid_static(frame)
    value, start, size = frame.stack_pop_ints(3)
    _pay_creation(frame, start, size, word_gas=0)
    nonce = frame.world.get_nonce(frame.msg.storage_address)
    _open_create(frame, value, frame.memory_read_bytes(start, size), created_address(frame.msg.storage_address, nonce))


def op_create2(frame: Frame) -> None:
    _forbid_static(frame)
    value, start, size, salt = frame.stack_pop_ints(4)
    _pay_creation(frame, start, size, word_gas=_HASH_WORD_GAS)
    code = frame.memory_read_bytes(start, size)
    preimage = b"\xff" + frame.msg.storage_address + salt.to_bytes(32, "big") + keccak256(code)
    _open_create(frame, value, code, keccak256(preimage)[12:])


def _pay_creation(frame: Frame, start: int, size: int, word_gas: int) -> None:
    limit = frame.machine.initcode_limit
    if limit is not None:
        if size > limit:
            raise OutOfGas(f"creation code of {size} bytes")
        word_gas += INITCODE_WORD_GAS
    frame.extend_memory(start, size)
    frame.consume_gas(CREATE_GAS + word_gas * ((size + 31) // 32), "creation")


def _open_create(frame: Frame, value: int, code: bytes, address: Address) -> None:
    world = frame.world
    own = frame.msg.storage_address
    frame.return_data = b""
    nonce = world.get_nonce(own)
    if frame.msg.depth >= CALL_DEPTH_LIMIT or world.get_balance(own) < value or nonce >= MAX_NONCE:
        frame.stack.append(0)
        return
    passed = frame.gas - frame.gas // 64
    frame.gas -= passed
    world.set_nonce(own, nonce + 1)
    message = Message(
        sender=own,
        storage_address=address,
        code=code,
        code_address=None,
        data=b"",
        value=value,
        gas=passed,
        depth=frame.msg.depth + 1,
    )
    child = create(frame.machine, world, frame.environment, message, frame.transaction_context)
    frame.gas += child.gas
    if child.succeeded:
        frame.stack.append(int.from_bytes(address, "big"))
    else:
        frame.stack.append(0)
        frame.return_data = child.output


def op_selfdestruct(frame: Frame) -> None:
    _forbid_static(frame)
    beneficiary = (frame.stack.pop() & _ADDRESS_MASK).to_bytes(20, "big")
    world = frame.world
    own = frame.msg.storage_address
    if beneficiary not in world.warm_addresses:
        world.mark_address_warm(beneficiary)
        frame.consume_gas(COLD_ACCOUNT_GAS, "cold beneficiary")
    balance = world.get_balance(own)
    if balance and world.account_is_empty(beneficiary):
        frame.consume_gas(_NEW_ACCOUNT_GAS, "new beneficiary")
    deleted = not frame.machine.destroys_only_new or own in world.created
    if beneficiary != own:
        world.delta_balance(beneficiary, balance)
        world.delta_balance(own, -balance)
    elif deleted:
        world.set_balance(own, 0)
    if deleted:
        world.destroy(own)
    raise Halt("SELFDESTRUCT")
