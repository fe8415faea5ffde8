"""Deposits: transactions that L1 and the protocol put into a block. They pay nothing and cannot be refused.

What fails in one is undone, but for its mint and the sender's nonce; only a block without room for it, or a system
deposit where there are none any more, make the block invalid.
Spec: deposits.md, "Execution", "Nonce Handling"; regolith/overview.md; canyon/overview.md.
"""

from __future__ import annotations

from kroma_core.codec.deposits import DepositTransaction, decode_deposit
from kroma_core.codec.transactions import DEPOSIT
from kroma_core.errors import DecodeError
from kroma_core.types import Gas
from kroma_engine_pyevm.calls import created_address
from kroma_engine_pyevm.execution import (
    BlockExecution,
    FailedBeforeExecution,
    InvalidTransaction,
    Outcome,
    TransactionResult,
)

_U256 = 2**256
_U64 = 2**64


def apply_deposit(block: BlockExecution, raw: bytes) -> TransactionResult:
    """Execute a deposit from its bytes. Raises `InvalidTransaction`, leaving state and gas untouched."""
    rules = block.rules
    try:
        deposit = decode_deposit(raw, legacy=rules.legacy_deposits)
    except DecodeError as error:
        raise InvalidTransaction(str(error)) from error
    if deposit.mint >= _U256:
        raise InvalidTransaction("mint exceeds 256 bits")
    if deposit.is_system and rules.regolith_deposits:
        raise InvalidTransaction("there are no system deposits any more")
    counted = not deposit.is_system
    if counted:
        block.take_gas(deposit.gas)
    state = block.state
    nonce = state.get_nonce(deposit.sender)
    if deposit.mint:
        state.add_balance(deposit.sender, deposit.mint)
    snapshot = state.snapshot()
    all_gas = deposit.gas if counted else 0
    try:
        outcome = _execute(block, deposit)
    except FailedBeforeExecution:
        state.revert(snapshot)
        state.set_nonce(deposit.sender, (nonce + 1) % _U64)
        outcome = Outcome(succeeded=False, gas_used=Gas(all_gas))
    else:
        if not rules.regolith_deposits:
            outcome = Outcome(succeeded=outcome.succeeded, gas_used=Gas(all_gas))
    block.gas_left += all_gas - outcome.gas_used
    # Before deposits kept a nonce, receipts name the contract that nonce 0 would have given.
    known_nonce = nonce if rules.regolith_deposits else None
    contract = created_address(deposit.sender, known_nonce or 0) if deposit.to is None else None
    return block.receipt(DEPOSIT, outcome, state.end_transaction(), contract=contract, deposit_nonce=known_nonce)


def _execute(block: BlockExecution, deposit: DepositTransaction) -> Outcome:
    state = block.state
    intrinsic = block.intrinsic_gas(deposit)
    floor = block.floor_gas(deposit)
    block.check_size_and_gas(deposit, intrinsic, floor)
    if deposit.value >= _U256:
        raise FailedBeforeExecution("the value exceeds 256 bits")
    if deposit.value > state.get_balance(deposit.sender):
        raise FailedBeforeExecution(f"0x{deposit.sender.hex()} does not have the {deposit.value} wei it sends")
    block.warm_up(deposit.sender, deposit.to)
    if deposit.to is not None:
        state.set_nonce(deposit.sender, (state.get_nonce(deposit.sender) + 1) % _U64)
    frame = block.run(deposit.sender, deposit, deposit.gas - intrinsic, 0)
    used = block.used_gas(deposit, frame.gas, floor)
    return Outcome(succeeded=frame.succeeded, gas_used=Gas(used))
