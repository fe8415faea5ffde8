"""Transactions of one block, one after the other: gas of the block, receipts, and what both kinds have in common.

Signed transactions are in `signed`, deposits in `deposits`; system calls are here.
Spec: exec-engine.md; yellow paper, section 6.
"""

from __future__ import annotations

import functools
from typing import Protocol

import attrs

from kroma_core.chain.fees import L1FeeParameters, OperatorFeeParameters
from kroma_core.chain.predeploys import predeploy
from kroma_core.codec.receipts import Log, Receipt, bloom_of
from kroma_core.errors import KromaError
from kroma_core.forks import EvmRules
from kroma_core.types import Address, Gas
from kroma_engine_pyevm.calls import MAX_NONCE, call, create, created_address, delegate_of
from kroma_engine_pyevm.environment import BlockEnvironment, Message, TransactionContext
from kroma_engine_pyevm.frames import Frame
from kroma_engine_pyevm.machines import machine_for
from kroma_engine_pyevm.state import WorldState

L1_BLOCK = predeploy(0x15)
KROMA_L1_BLOCK = predeploy(0x02)
"""The L1 attributes contract where they are not in OP form."""
SYSTEM_ADDRESS: Address = bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")
_SYSTEM_CALL_GAS = 30_000_000
_BASE_GAS = 21_000
_CREATION_GAS = 53_000
_INITCODE_WORD_GAS = 2
_REFUND_QUOTIENT = 5
_FLOOR_TOKEN_GAS = 10


class InvalidTransaction(KromaError):
    """A transaction that no block may hold in this place. The state is as it was before it."""


class FailedBeforeExecution(KromaError):
    """A transaction that cannot begin: invalid if it is signed, included as failed if it is a deposit."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What a transaction did, with its gas as the receipt counts it."""

    succeeded: bool
    gas_used: Gas


@attrs.frozen(kw_only=True)
class TransactionResult:
    """A transaction's receipt and what it does not say.

    `contract` is the address that a creation was for, also of one that failed.
    """

    receipt: Receipt
    gas_used: Gas
    contract: Address | None


class Payment(Protocol):
    """Intrinsic properties that both kinds of transaction have."""

    @property
    def to(self) -> Address | None: ...

    @property
    def value(self) -> int: ...

    @property
    def data(self) -> bytes: ...

    @property
    def gas(self) -> int: ...


class BlockExecution:
    """A block being executed on `state`. After an `InvalidTransaction` it can go on with another one."""

    def __init__(self, state: WorldState, environment: BlockEnvironment) -> None:
        self.state = state
        self.environment = environment
        self.rules = environment.rules
        self.machine = machine_for(environment.rules)
        self.gas_left: int = environment.gas_limit
        self.gas_used = 0
        self.tips = 0
        self.receipts: list[Receipt] = []

    @functools.cached_property
    def l1_fee_parameters(self) -> L1FeeParameters:
        """Read when the first signed transaction asks, after the block's deposits: they set them."""
        if self.rules.l1_info_in_op_form:
            return L1FeeParameters.from_storage(functools.partial(self.state.get_storage, L1_BLOCK))
        slot = functools.partial(self.state.get_storage, KROMA_L1_BLOCK)
        return L1FeeParameters.from_storage(slot, blob_base_fee_slot=8)

    @functools.cached_property
    def operator_fee_parameters(self) -> OperatorFeeParameters:
        return OperatorFeeParameters.from_storage(functools.partial(self.state.get_storage, L1_BLOCK))

    # --- for the kinds of transaction

    def take_gas(self, gas: int) -> None:
        """Reserve a transaction's gas limit in the block."""
        if gas > self.gas_left:
            raise InvalidTransaction(f"gas limit {gas} exceeds the {self.gas_left} left in the block")
        self.gas_left -= gas

    def intrinsic_gas(self, payment: Payment) -> int:
        """Gas that the transaction costs before anything runs, access list and authorisations aside."""
        data = payment.data
        zeroes = data.count(0)
        gas = _CREATION_GAS if payment.to is None else _BASE_GAS
        gas += 4 * zeroes + 16 * (len(data) - zeroes)
        if payment.to is None and self.machine.initcode_limit is not None:
            gas += _INITCODE_WORD_GAS * ((len(data) + 31) // 32)
        return gas

    def floor_gas(self, payment: Payment) -> int:
        """Least gas that the transaction uses, by the size of its data; 0 before EIP-7623."""
        if self.rules.evm < EvmRules.PRAGUE:
            return 0
        data = payment.data
        zeroes = data.count(0)
        return _BASE_GAS + _FLOOR_TOKEN_GAS * (zeroes + 4 * (len(data) - zeroes))

    def check_size_and_gas(self, payment: Payment, intrinsic: int, floor: int) -> None:
        """Whether the gas limit covers what is due in any case, and creation code is within its limit."""
        if payment.gas < intrinsic:
            raise FailedBeforeExecution(f"gas limit {payment.gas} is below the intrinsic gas of {intrinsic}")
        if payment.gas < floor:
            raise FailedBeforeExecution(f"gas limit {payment.gas} is below the floor of {floor} for its data")
        limit = self.machine.initcode_limit
        if payment.to is None and limit is not None and len(payment.data) > limit:
            raise FailedBeforeExecution(f"creation code of {len(payment.data)} bytes, at most {limit}")

    def warm_up(self, sender: Address, to: Address | None) -> None:
        """Addresses that a transaction accesses at no cost. Spec: EIP-2929, EIP-3651."""
        warm = self.state.warm_addresses
        warm.add(sender)
        if to is not None:
            warm.add(to)
        warm.update(self.machine.precompiles)
        if self.rules.evm >= EvmRules.SHANGHAI:
            warm.add(self.environment.coinbase)

    def run(self, sender: Address, payment: Payment, gas: int, gas_price: int) -> Frame:
        """Run the transaction's call or creation with `gas`. The sender's nonce is raised here for a creation only."""
        state = self.state
        context = TransactionContext(sender, gas_price)
        to = payment.to
        if to is None:
            nonce = state.get_nonce(sender)
            address = created_address(sender, nonce)
            message = Message(
                sender=sender,
                storage_address=address,
                code=payment.data,
                code_address=None,
                data=b"",
                value=payment.value,
                gas=gas,
                depth=0,
            )
            if nonce >= MAX_NONCE:
                frame = Frame(self.machine, state, self.environment, message, context)
                frame.refuse(f"nonce of 0x{sender.hex()} is at its maximum")
                return frame
            state.set_nonce(sender, nonce + 1)
            return create(self.machine, state, self.environment, message, context)
        code_address: Address | None = to
        code = state.get_code(to)
        if self.machine.delegations:
            delegate = delegate_of(code)
            if delegate is not None:
                state.warm_addresses.add(delegate)
                code = state.get_code(delegate)
                code_address = None
        message = Message(
            sender=sender,
            storage_address=to,
            code=code,
            code_address=code_address,
            data=payment.data,
            value=payment.value,
            gas=gas,
            depth=0,
        )
        return call(self.machine, state, self.environment, message, context)

    def used_gas(self, payment: Payment, left: int, floor: int) -> int:
        """Gas used with `left` remaining: refunds come off, up to a fifth; never below the floor."""
        used = payment.gas - left
        used -= min(used // _REFUND_QUOTIENT, self.state.refund)
        return max(used, floor)

    def receipt(
        self,
        kind: int,
        outcome: Outcome,
        logs: tuple[Log, ...],
        *,
        contract: Address | None,
        deposit_nonce: int | None = None,
    ) -> TransactionResult:
        """Count the transaction's gas and write its receipt."""
        self.gas_used += outcome.gas_used
        receipt = Receipt(
            type=kind,
            status=1 if outcome.succeeded else 0,
            cumulative_gas_used=self.gas_used,
            bloom=bloom_of(logs),
            logs=logs,
            deposit_nonce=deposit_nonce,
            deposit_version=None if deposit_nonce is None else self.rules.deposit_receipt_version,
        )
        self.receipts.append(receipt)
        return TransactionResult(receipt=receipt, gas_used=outcome.gas_used, contract=contract)

    # --- system calls

    def system_call(self, contract: Address, data: bytes) -> None:
        """A call of the protocol to a system contract, outside of any transaction; without code nothing happens.

        Spec: EIP-4788, "Block processing"; EIP-2935, "Block processing".
        """
        state = self.state
        code = state.get_code(contract)
        if not code:
            return
        state.mark_address_warm(contract)
        message = Message(
            sender=SYSTEM_ADDRESS,
            storage_address=contract,
            code=code,
            code_address=contract,
            data=data,
            value=0,
            gas=_SYSTEM_CALL_GAS,
            depth=0,
        )
        call(self.machine, state, self.environment, message, TransactionContext(SYSTEM_ADDRESS, 0))
        state.end_transaction()
