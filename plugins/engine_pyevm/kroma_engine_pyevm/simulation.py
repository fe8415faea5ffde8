"""Calls that nobody commits: what a transaction would do on top of a block's state, seen from inside of that block.

A call has no signature and no nonce, and pays neither for its data nor to an operator. One without fees sees a base fee
of 0. Spec: execution-apis, "eth_call"; exec-engine.md, "Fees".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from kroma_core.api import (
    AccountOverride,
    BlockOverride,
    CallFailure,
    CallOutcome,
    MessageCall,
    Ran,
    Refusal,
    Refused,
    Supposition,
)
from kroma_core.chain.config import RollupConfig
from kroma_core.codec.headers import Header
from kroma_core.codec.transactions import AccessList
from kroma_core.errors import KromaError
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, L2Number, Timestamp, Wei
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution
from kroma_engine_pyevm.failures import failure_of
from kroma_engine_pyevm.frames import Machine
from kroma_engine_pyevm.machines import machine_for
from kroma_engine_pyevm.signed import accept_delegation, list_gas
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import StateTrie

_U256 = 2**256


class ImpossibleOverride(KromaError):
    """Suppositions that contradict each other."""


class ObservedState(WorldState):
    """A state that remembers what had to be paid for as cold, also where that was undone."""

    def __init__(self, trie: StateTrie, root: Hash32, code: Callable[[Hash32], bytes]) -> None:
        super().__init__(trie, root, code)
        self.seen: dict[Address, dict[int, None]] = {}
        self._made: set[Address] = set()

    def mark_address_warm(self, address: Address) -> None:
        self.seen.setdefault(address, {})
        super().mark_address_warm(address)

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        self.seen.setdefault(address, {})[slot] = None
        super().mark_storage_warm(address, slot)

    def mark_created(self, address: Address) -> None:
        self._made.add(address)
        super().mark_created(address)

    def accessed(self) -> AccessList:
        """What an access list would have spared; contracts made on the way were never cold."""
        return tuple(
            [
                (address, tuple([slot.to_bytes(32, "big") for slot in slots]))
                for address, slots in self.seen.items()
                if slots or address not in self._made
            ]
        )


def environment_of(
    header: Header, config: RollupConfig, block_hash: Callable[[int], Hash32], override: BlockOverride
) -> BlockEnvironment:
    """What a call sees of a block: the block itself, not the one after it."""
    timestamp = header.timestamp if override.timestamp is None else override.timestamp
    return BlockEnvironment(
        chain_id=config.l2_chain_id,
        number=L2Number(header.number if override.number is None else override.number),
        timestamp=Timestamp(timestamp),
        coinbase=override.fee_recipient or header.coinbase,
        gas_limit=Gas(header.gas_limit if override.gas_limit is None else override.gas_limit),
        base_fee=Wei((header.base_fee or 0) if override.base_fee is None else override.base_fee),
        prev_randao=override.prev_randao or header.mix_hash,
        rules=config.schedule.at(timestamp),
        block_hash=lambda number: block_hash(number) if number < header.number else ZERO_HASH,
    )


def simulate(
    state: ObservedState,
    environment: BlockEnvironment,
    call: MessageCall,
    supposition: Supposition,
    watched: Callable[[Machine], Machine],
) -> CallOutcome:
    """Run a call on `state`, which is of no use afterwards. `watched` puts whoever looks on onto the machine."""
    try:
        machine = _suppose(state, machine_for(environment.rules), supposition.accounts)
    except ImpossibleOverride as error:
        return Refused(cause=Refusal.OVERRIDE, text=str(error))
    refused = _refusal_of_fees(call, environment)
    if refused is not None:
        return refused
    free = not call.max_fee and not call.max_priority_fee
    price = 0 if free else min(call.max_fee, environment.base_fee + call.max_priority_fee)
    if not price:
        environment = attrs.evolve(environment, base_fee=Wei(0))
    block = BlockExecution(state, environment)
    block.machine = watched(machine)
    balance = state.get_balance(call.sender)
    needed = call.gas * call.max_fee + call.value
    if balance < needed:
        return _refused(Refusal.FUNDS, f"address 0x{call.sender.hex()} have {balance} want {needed}")
    intrinsic = block.intrinsic_gas(call) + list_gas(call.access_list, len(call.authorizations))
    floor = block.floor_gas(call)
    if call.gas < intrinsic:
        return _refused(Refusal.INTRINSIC_GAS, f"have {call.gas}, want {intrinsic}")
    if call.gas < floor:
        return _refused(Refusal.FLOOR_GAS, f"have {call.gas}, want {floor}")
    limit = machine.initcode_limit
    if call.to is None and limit is not None and len(call.data) > limit:
        return _refused(Refusal.INITCODE_SIZE, f"code size {len(call.data)} limit {limit}")
    return _run(block, call, price, intrinsic, floor)


def _run(block: BlockExecution, call: MessageCall, price: int, intrinsic: int, floor: int) -> CallOutcome:
    state = block.state
    assert isinstance(state, ObservedState)
    state.delta_balance(call.sender, -call.gas * price)
    block.warm_up(call.sender, call.to)
    for address, keys in call.access_list:
        state.warm_addresses.add(address)
        state.warm_slots.update((address, int.from_bytes(key, "big")) for key in keys)
    if call.to is not None:
        state.set_nonce(call.sender, state.get_nonce(call.sender) + 1)
        for authorization in call.authorizations:
            accept_delegation(block, authorization)
    state.seen.clear()
    frame = block.run(call.sender, call, call.gas - intrinsic, price)
    failure, detail = failure_of(frame)
    output = frame.output
    if failure is None and call.to is None:
        output = state.get_code(frame.msg.storage_address)
    return Ran(
        output=output if failure in (None, CallFailure.REVERTED) else b"",
        gas_used=block.used_gas(call, frame.gas, floor),
        peak_gas=max(call.gas - frame.gas, floor),
        failure=failure,
        detail=detail,
        accessed=state.accessed(),
    )


def _refused(cause: Refusal, numbers: str) -> Refused:
    return Refused(cause=cause, text=f"{cause}: {numbers}")


def _refusal_of_fees(call: MessageCall, environment: BlockEnvironment) -> Refused | None:
    who = f"address 0x{call.sender.hex()}"
    if call.authorizations and call.to is None:
        return _refused(Refusal.AUTHORIZATIONS, f"cannot be used to create contract (sender 0x{call.sender.hex()})")
    if not call.max_fee and not call.max_priority_fee:
        return None
    fees = f"maxPriorityFeePerGas: {call.max_priority_fee}, maxFeePerGas: {call.max_fee}"
    if max(call.max_fee, call.max_priority_fee) >= _U256:
        return _refused(Refusal.FEE_TOO_LARGE, who)
    if call.max_priority_fee > call.max_fee:
        return _refused(Refusal.TIP_ABOVE_FEE, f"{who}, {fees}")
    if call.max_fee < environment.base_fee:
        return _refused(Refusal.FEE_TOO_LOW, f"{who}, maxFeePerGas: {call.max_fee}, baseFee: {environment.base_fee}")
    return None


def _suppose(state: WorldState, machine: Machine, accounts: Mapping[Address, AccountOverride]) -> Machine:
    """Put suppositions into the state; gives the machine with the precompiles that are left."""
    precompiles = dict(machine.precompiles)
    moved: set[Address] = set()
    for address in sorted(accounts):
        override = accounts[address]
        name = f"account 0x{address.hex()}"
        if address in moved:
            raise ImpossibleOverride(f"{name} has already been overridden by a precompile")
        if override.moved_to is not None:
            if address not in machine.precompiles:
                raise ImpossibleOverride(f"{name} is not a precompile")
            if override.moved_to in accounts:
                raise ImpossibleOverride(f"account 0x{override.moved_to.hex()} is already overridden")
            precompiles[override.moved_to] = machine.precompiles[address]
            moved.add(override.moved_to)
        if address not in moved:
            precompiles.pop(address, None)
        if override.storage is not None and override.slots is not None:
            raise ImpossibleOverride(f"{name} has both 'state' and 'stateDiff'")
        state.suppose(
            address,
            nonce=override.nonce,
            balance=override.balance,
            code=override.code,
            storage=override.storage,
            slots=override.slots,
        )
    return attrs.evolve(machine, precompiles=precompiles) if accounts else machine
