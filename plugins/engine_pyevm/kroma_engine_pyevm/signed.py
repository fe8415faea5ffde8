"""Signed transactions: what makes one invalid, what it pays, and to whom.

py-evm runs bytecode and is not asked about any of this: its own checks accept transactions of another chain, tips above
the fee cap, gas below the floor, and senders with code.
Spec: EIP-155, 1559, 2681, 2930, 3607, 3860, 7623, 7702, 7825; exec-engine.md, "Fees".
"""

from __future__ import annotations

from kroma_core.chain.fees import kroma_validator_reward, l1_fee, operator_fee
from kroma_core.chain.predeploys import predeploy
from kroma_core.codec.transactions import (
    ACCESS_LIST,
    DYNAMIC_FEE,
    LEGACY,
    SET_CODE,
    AccessList,
    Authorization,
    Transaction,
    decode_transaction,
)
from kroma_core.errors import DecodeError
from kroma_core.forks import EvmRules, OperatorFeeFormula
from kroma_core.types import Address, Gas, Wei
from kroma_engine_pyevm.calls import MAX_NONCE, created_address, delegate_of, delegation_to
from kroma_engine_pyevm.execution import (
    KROMA_L1_BLOCK,
    BlockExecution,
    FailedBeforeExecution,
    InvalidTransaction,
    Outcome,
    TransactionResult,
)
from kroma_engine_pyevm.state import WorldState

BASE_FEE_VAULT = predeploy(0x19)
L1_FEE_VAULT = predeploy(0x1A)
OPERATOR_FEE_VAULT = predeploy(0x1B)
PROTOCOL_VAULT = predeploy(0x06)
KROMA_L1_FEE_VAULT = predeploy(0x07)
VALIDATOR_REWARD_VAULT = predeploy(0x08)
_REWARD_SCALAR_SLOT = 7
_ACCESS_LIST_ADDRESS_GAS = 2400
_ACCESS_LIST_KEY_GAS = 1900
_NEW_AUTHORITY_GAS = 25_000
_AUTHORIZATION_GAS = 12_500
_U256 = 2**256


def apply_signed(block: BlockExecution, raw: bytes) -> TransactionResult:
    """Execute a signed transaction from its bytes. Raises `InvalidTransaction`, leaving state and gas untouched."""
    try:
        transaction = decode_transaction(raw)
        sender = _sender(block, transaction)
    except DecodeError as error:
        raise InvalidTransaction(str(error)) from error
    return apply_transaction(block, transaction, sender)


def apply_transaction(block: BlockExecution, transaction: Transaction, sender: Address) -> TransactionResult:
    """Execute a decoded transaction whose sender is known."""
    _check_sender(block.state, transaction, sender)
    _check_fees(block, transaction)
    intrinsic = block.intrinsic_gas(transaction) + list_gas(transaction.access_list, len(transaction.authorizations))
    floor = block.floor_gas(transaction)
    try:
        block.check_size_and_gas(transaction, intrinsic, floor)
    except FailedBeforeExecution as error:
        raise InvalidTransaction(str(error)) from error
    base_fee = block.environment.base_fee
    price = min(transaction.max_fee, base_fee + transaction.max_priority_fee)
    parameters = block.l1_fee_parameters
    data_fee = l1_fee(transaction.raw, parameters, parameters.formula(block.rules.l1_fee)).fee
    operator_limit = operator_fee_of(block, transaction.gas)
    state = block.state
    balance = state.get_balance(sender)
    needed = transaction.gas * transaction.max_fee + transaction.value + data_fee + operator_limit
    if balance < needed:
        raise InvalidTransaction(f"0x{sender.hex()} has {balance} wei and needs {needed} for value and all fees")
    block.take_gas(transaction.gas)

    state.delta_balance(sender, -(transaction.gas * price + data_fee + operator_limit))
    block.warm_up(sender, transaction.to)
    for address, keys in transaction.access_list:
        state.warm_addresses.add(address)
        state.warm_slots.update((address, int.from_bytes(key, "big")) for key in keys)
    if transaction.to is not None:
        state.set_nonce(sender, transaction.nonce + 1)
        for authorization in transaction.authorizations:
            accept_delegation(block, authorization)
    frame = block.run(sender, transaction, transaction.gas - intrinsic, price)
    used = block.used_gas(transaction, frame.gas, floor)
    operator_used = operator_fee_of(block, used)
    block.gas_left += transaction.gas - used
    state.add_balance(sender, (transaction.gas - used) * price + operator_limit - operator_used)
    tip = used * (price - base_fee)
    block.tips += tip
    if block.rules.kroma_fee_split:
        _split(state, used * price, data_fee)
    else:
        state.add_balance(block.environment.coinbase, tip)
        state.add_balance(BASE_FEE_VAULT, used * base_fee)
        state.add_balance(L1_FEE_VAULT, data_fee)
    if block.rules.operator_fee is not OperatorFeeFormula.NONE:
        state.add_balance(OPERATOR_FEE_VAULT, operator_used)
    outcome = Outcome(succeeded=frame.succeeded, gas_used=Gas(used))
    contract = created_address(sender, transaction.nonce) if transaction.to is None else None
    return block.receipt(transaction.type, outcome, state.end_transaction(), contract=contract)


def _split(state: WorldState, gas_fee: int, data_fee: int) -> None:
    """Kroma's vaults before its change to OP's: what validators get of the gas fee is set on L1.

    Spec: kroma, validator.md, "Validator Reward".
    """
    reward = kroma_validator_reward(Wei(gas_fee), state.get_storage(KROMA_L1_BLOCK, _REWARD_SCALAR_SLOT))
    state.add_balance(VALIDATOR_REWARD_VAULT, reward)
    state.add_balance(PROTOCOL_VAULT, gas_fee - reward)
    state.add_balance(KROMA_L1_FEE_VAULT, data_fee)


def _sender(block: BlockExecution, transaction: Transaction) -> Address:
    types = (LEGACY, ACCESS_LIST, DYNAMIC_FEE) + ((SET_CODE,) if block.rules.evm >= EvmRules.PRAGUE else ())
    if transaction.type not in types:
        raise InvalidTransaction(f"transactions of type {transaction.type} are not accepted")
    chain_id = block.environment.chain_id
    if not transaction.signed_for(chain_id):
        # No text holds a number of any size: Python refuses to write one of thousands of digits.
        other = transaction.chain_id or 0
        name = f"chain {other}" if other < _U256 else "a chain whose id exceeds 256 bits"
        raise InvalidTransaction(f"signed for {name}, this is {chain_id}")
    return transaction.sender


def _check_sender(state: WorldState, transaction: Transaction, sender: Address) -> None:
    nonce = state.get_nonce(sender)
    if transaction.nonce != nonce:
        raise InvalidTransaction(f"nonce {transaction.nonce}, but 0x{sender.hex()} is at {nonce}")
    if nonce >= MAX_NONCE:
        raise InvalidTransaction(f"the nonce of 0x{sender.hex()} is at its maximum")
    code = state.get_code(sender)
    if code and delegate_of(code) is None:
        raise InvalidTransaction(f"the sender 0x{sender.hex()} is a contract")


def _check_fees(block: BlockExecution, transaction: Transaction) -> None:
    cap = block.rules.transaction_gas_cap
    if cap is not None and transaction.gas > cap:
        raise InvalidTransaction(f"gas limit {transaction.gas} exceeds the cap of {cap} for one transaction")
    if max(transaction.max_fee, transaction.max_priority_fee, transaction.value) >= _U256:
        raise InvalidTransaction("a fee or the value exceeds 256 bits")
    if transaction.max_priority_fee > transaction.max_fee:
        raise InvalidTransaction(f"tip {transaction.max_priority_fee} exceeds the fee cap {transaction.max_fee}")
    if transaction.max_fee < block.environment.base_fee:
        raise InvalidTransaction(f"fee cap {transaction.max_fee} is below the base fee {block.environment.base_fee}")
    if transaction.type == SET_CODE and not transaction.authorizations:
        raise InvalidTransaction("a set-code transaction without authorisations")


def list_gas(access_list: AccessList, authorizations: int) -> int:
    """Intrinsic gas for an access list and a number of authorisations. Spec: EIP-2930, EIP-7702."""
    gas = authorizations * _NEW_AUTHORITY_GAS
    for _, keys in access_list:
        gas += _ACCESS_LIST_ADDRESS_GAS + _ACCESS_LIST_KEY_GAS * len(keys)
    return gas


def operator_fee_of(block: BlockExecution, gas: int) -> int:
    """The operator's fee for `gas` in a block, 0 where there is none."""
    formula = block.rules.operator_fee
    if formula is OperatorFeeFormula.NONE:
        return 0
    return operator_fee(Gas(gas), block.operator_fee_parameters, formula)


def accept_delegation(block: BlockExecution, authorization: Authorization) -> None:
    """Let an account run another's code, if it consents; an authorisation that does not hold is passed over.

    Spec: EIP-7702, "Behavior".
    """
    if authorization.chain_id not in (0, block.environment.chain_id) or authorization.nonce >= MAX_NONCE:
        return
    try:
        authority = authorization.authority
    except DecodeError:
        return
    state = block.state
    state.mark_address_warm(authority)
    code = state.get_code(authority)
    if (code and delegate_of(code) is None) or state.get_nonce(authority) != authorization.nonce:
        return
    if state.account_exists(authority):
        state.add_refund(_NEW_AUTHORITY_GAS - _AUTHORIZATION_GAS)
    state.set_nonce(authority, authorization.nonce + 1)
    clears = not any(authorization.address)
    state.set_code(authority, b"" if clears else delegation_to(authorization.address))
