"""One block: its plan from payload attributes or from a payload, and its execution into a header and receipts.

Spec: exec-engine.md; canyon, ecotone, isthmus and jovian exec-engine.md; EIP-2935, EIP-4788.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Protocol

import attrs
import trio

from kroma_core.chain.base_fee import decode_extra_data, extra_data_of, next_base_fee
from kroma_core.chain.config import BlockLimits, RollupConfig
from kroma_core.chain.fees import da_footprint, da_footprint_gas_scalar
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.headers import EMPTY_REQUESTS_HASH, EMPTY_ROOT, Header
from kroma_core.codec.receipts import bloom_union
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError, KromaError
from kroma_core.forks import ExtraDataFormat, Rules
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, L2Number, Timestamp, Wei
from kroma_engine_pyevm.deposits import apply_deposit
from kroma_engine_pyevm.environment import BlockEnvironment
from kroma_engine_pyevm.execution import BlockExecution, InvalidTransaction, TransactionResult
from kroma_engine_pyevm.signed import apply_signed
from kroma_engine_pyevm.state import WorldState

BEACON_ROOTS: Address = bytes.fromhex("000f3df6d732807ef1319fb7b8bb8522d0beac02")
HISTORY_STORAGE: Address = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")
CREATE2_DEPLOYER: Address = bytes.fromhex("13b0d85ccb8bf860b6b79af3029fca081ae9bef2")
MULTICALL3: Address = bytes.fromhex("ca11bde05977b3631167028862be2a173976ca11")
_MAX_GAS_LIMIT = 2**63 - 1


class InvalidBlock(KromaError):
    """A block that breaks a rule; the text says which."""


@attrs.frozen(kw_only=True)
class BlockPlan:
    """Everything that a block is computed from, besides the state of its parent."""

    parent: Header
    parent_hash: Hash32
    timestamp: Timestamp
    prev_randao: Hash32
    fee_recipient: Address
    gas_limit: Gas
    base_fee: Wei
    extra_data: bytes
    parent_beacon_root: Hash32 | None
    transactions: tuple[bytes, ...] = attrs.field(repr=False)
    rules: Rules = attrs.field(repr=False)

    @property
    def number(self) -> L2Number:
        return L2Number(self.parent.number + 1)


@attrs.frozen(kw_only=True)
class ExecutedBlock:
    """A block with all that its execution gave. `nodes` and `codes` are what the store does not have yet, by hash."""

    header: Header
    hash: Hash32
    transactions: tuple[bytes, ...] = attrs.field(repr=False)
    receipts: tuple[bytes, ...] = attrs.field(repr=False)
    stored_receipts: tuple[bytes, ...] = attrs.field(repr=False)
    """The same with the nonces of deposits, also where the receipts root leaves those out."""
    nodes: dict[Hash32, bytes] = attrs.field(repr=False)
    codes: dict[Hash32, bytes] = attrs.field(repr=False)
    tips: int = 0
    """Wei that go to the fee recipient."""


@attrs.define(kw_only=True)
class Room:
    """What is left of a block being built. A supplier tells by `count` what it has put in.

    `transactions` is how many it has, and `size` how many bytes they have, forced ones included; `most` bounds both.
    """

    block: BlockExecution
    footprint: int
    footprint_scalar: int
    most: BlockLimits
    transactions: int
    size: int

    def takes(self, raw: bytes) -> bool:
        """Whether a transaction still fits, apart from its gas."""
        if self.most.transactions is not None and self.transactions >= self.most.transactions:
            return False
        if self.most.size is not None and self.size + len(raw) > self.most.size:
            return False
        return self.footprint + self._footprint_of(raw) <= self.block.environment.gas_limit

    def count(self, raw: bytes) -> None:
        self.footprint += self._footprint_of(raw)
        self.transactions += 1
        self.size += len(raw)

    def _footprint_of(self, raw: bytes) -> int:
        return da_footprint([raw], self.footprint_scalar) if self.footprint_scalar else 0


class Supply(Protocol):
    """Transactions that a block may take besides those that it must."""

    async def fill(self, room: Room) -> tuple[bytes, ...]:
        """Apply transactions to the block and say which, in order. Those that cannot be applied leave no trace."""
        ...


def plan_of_attributes(
    parent: Header, parent_hash: Hash32, attributes: PayloadAttributes, config: RollupConfig
) -> BlockPlan:
    """The block that these attributes ask for. Raises `InvalidBlock` where no valid block can have them."""
    rules = config.schedule.at(attributes.timestamp)
    if attributes.withdrawals != rules.withdrawals:
        raise InvalidBlock(f"attributes withdrawals: the rules at {attributes.timestamp} say {rules.withdrawals}")
    for name, value, required in (
        ("eip1559Params", attributes.eip1559_params, rules.eip1559_attributes),
        ("minBaseFee", attributes.min_base_fee, rules.min_base_fee_attribute),
    ):
        if (value is not None) != required:
            state = "missing" if required else "not expected"
            raise InvalidBlock(f"attributes {name}: {state} at {attributes.timestamp}")
    try:
        extra_data = extra_data_of(attributes, config)
    except DecodeError as error:
        raise InvalidBlock(f"attributes: {error}") from error
    return _plan(
        parent,
        parent_hash,
        config,
        timestamp=attributes.timestamp,
        prev_randao=attributes.prev_randao,
        fee_recipient=attributes.fee_recipient,
        gas_limit=attributes.gas_limit,
        extra_data=extra_data,
        parent_beacon_root=attributes.parent_beacon_root,
        transactions=attributes.transactions,
    )


def plan_of_payload(parent: Header, parent_hash: Hash32, payload: Payload, config: RollupConfig) -> BlockPlan:
    """The block that a payload of the right form claims to be. Raises `InvalidBlock`.

    What execution decides is not looked at.
    """
    rules = config.schedule.at(payload.timestamp)
    if rules.extra_data is ExtraDataFormat.EMPTY:
        expected = config.schedule.first_block_extra_data(payload.timestamp)
        if payload.extra_data != expected:
            raise InvalidBlock(f"extraData: expected 0x{expected.hex()}, got 0x{payload.extra_data.hex()}")
    else:
        try:
            decode_extra_data(payload.extra_data, rules)
        except DecodeError as error:
            raise InvalidBlock(str(error)) from error
    return _plan(
        parent,
        parent_hash,
        config,
        timestamp=payload.timestamp,
        prev_randao=payload.prev_randao,
        fee_recipient=payload.fee_recipient,
        gas_limit=payload.gas_limit,
        extra_data=payload.extra_data,
        parent_beacon_root=payload.parent_beacon_root,
        transactions=payload.transactions,
    )


def check_form(payload: Payload, rules: Rules) -> None:
    """Whether a payload has the fields that blocks of its time have. Raises `InvalidBlock`.

    The block's hash does not tell whether an empty list of withdrawals was there.
    """
    if payload.withdrawals != rules.withdrawals or payload.withdrawal_list:
        expected = "an empty list" if rules.withdrawals else "none"
        raise InvalidBlock(f"withdrawals of block {payload.number}: expected {expected}")
    if (payload.withdrawals_root is not None) != rules.withdrawals_root_is_storage_root:
        state = "missing" if rules.withdrawals_root_is_storage_root else "not expected"
        raise InvalidBlock(f"withdrawalsRoot of block {payload.number}: {state}")


def _plan(
    parent: Header,
    parent_hash: Hash32,
    config: RollupConfig,
    *,
    timestamp: Timestamp,
    prev_randao: Hash32,
    fee_recipient: Address,
    gas_limit: Gas,
    extra_data: bytes,
    parent_beacon_root: Hash32 | None,
    transactions: tuple[bytes, ...],
) -> BlockPlan:
    rules = config.schedule.at(timestamp)
    _check_limits(transactions, config.block_limits)
    if timestamp <= parent.timestamp:
        raise InvalidBlock(f"timestamp {timestamp} is not after the parent's {parent.timestamp}")
    if gas_limit > _MAX_GAS_LIMIT:
        raise InvalidBlock(f"gas limit {gas_limit} exceeds {_MAX_GAS_LIMIT}")
    if (parent_beacon_root is not None) != rules.parent_beacon_root:
        state = "missing" if rules.parent_beacon_root else "not expected"
        raise InvalidBlock(f"parent beacon block root: {state} at {timestamp}")
    return BlockPlan(
        parent=parent,
        parent_hash=parent_hash,
        timestamp=timestamp,
        prev_randao=prev_randao,
        fee_recipient=fee_recipient,
        gas_limit=gas_limit,
        base_fee=Wei(next_base_fee(parent, timestamp, config)),
        extra_data=extra_data,
        parent_beacon_root=parent_beacon_root,
        transactions=transactions,
        rules=rules,
    )


def _check_limits(transactions: tuple[bytes, ...], limits: BlockLimits) -> None:
    if limits.transactions is not None and len(transactions) > limits.transactions:
        raise InvalidBlock(f"{len(transactions)} transactions, the chain's blocks have at most {limits.transactions}")
    size = sum(map(len, transactions))
    if limits.size is not None and size > limits.size:
        raise InvalidBlock(f"transactions of {size} bytes, the chain's blocks have at most {limits.size}")


def open_block(
    plan: BlockPlan, state: WorldState, config: RollupConfig, block_hash: Callable[[int], Hash32]
) -> BlockExecution:
    """A block before its first transaction, on the state of its parent: what the protocol does by itself is done."""
    block = plain_block(plan, state, config, block_hash)
    _begin(plan, block, config)
    return block


def plain_block(
    plan: BlockPlan, state: WorldState, config: RollupConfig, block_hash: Callable[[int], Hash32]
) -> BlockExecution:
    """A block on the state of its parent as that was left: what the protocol does by itself is not done."""
    environment = BlockEnvironment(
        chain_id=config.l2_chain_id,
        number=plan.number,
        timestamp=plan.timestamp,
        coinbase=plan.fee_recipient,
        gas_limit=plan.gas_limit,
        base_fee=plan.base_fee,
        prev_randao=plan.prev_randao,
        rules=plan.rules,
        block_hash=block_hash,
    )
    return BlockExecution(state, environment)


async def execute_block(
    plan: BlockPlan,
    state: WorldState,
    config: RollupConfig,
    block_hash: Callable[[int], Hash32],
    supply: Supply | None = None,
) -> ExecutedBlock:
    """Execute the plan on `state`, the state of its parent; leaves `state` after the block.

    What `supply` has follows the plan's transactions, as far as there is room. Raises `InvalidBlock`; `state` is of no
    use then, nor when the call was cancelled. Yields between transactions.
    """
    footprint, footprint_scalar = _footprint(plan)
    block = open_block(plan, state, config, block_hash)
    for index, raw in enumerate(plan.transactions):
        await trio.lowlevel.checkpoint()
        try:
            apply_or_refuse(block, raw)
        except InvalidTransaction as error:
            raise InvalidBlock(f"transaction {index} of block {plan.number}: {error}") from error
    transactions = plan.transactions
    if supply is not None and (footprint_scalar is not None or not plan.rules.da_footprint):
        room = Room(
            block=block,
            most=_fill_limits(plan.rules, config),
            footprint=footprint,
            footprint_scalar=footprint_scalar or 0,
            transactions=len(transactions),
            size=sum(map(len, transactions)),
        )
        transactions += await supply.fill(room)
        footprint = room.footprint
    nodes: dict[Hash32, bytes] = {}
    codes: dict[Hash32, bytes] = {}
    try:
        state_root = state.root_after(nodes, codes)
    except DecodeError as error:
        raise InvalidBlock(f"block {plan.number}: its state has no root: {error}") from error
    receipts = tuple([receipt.encode() for receipt in block.receipts])
    header = Header(
        parent_hash=plan.parent_hash,
        coinbase=plan.fee_recipient,
        state_root=state_root,
        transactions_root=ordered_root(transactions),
        receipts_root=ordered_root(receipts),
        bloom=bloom_union([receipt.bloom for receipt in block.receipts if receipt.logs]),
        number=plan.number,
        gas_limit=plan.gas_limit,
        gas_used=block.gas_used,
        timestamp=plan.timestamp,
        extra_data=plan.extra_data,
        mix_hash=plan.prev_randao,
        base_fee=plan.base_fee,
        withdrawals_root=_withdrawals_root(plan.rules, state, config),
        blob_gas_used=footprint if plan.rules.parent_beacon_root else None,
        excess_blob_gas=0 if plan.rules.parent_beacon_root else None,
        parent_beacon_root=plan.parent_beacon_root,
        requests_hash=EMPTY_REQUESTS_HASH if plan.rules.withdrawals_root_is_storage_root else None,
    )
    return ExecutedBlock(
        header=header,
        hash=header.hash,
        transactions=transactions,
        receipts=receipts,
        stored_receipts=tuple([receipt.encode_stored() for receipt in block.receipts]),
        nodes=nodes,
        codes=codes,
        tips=block.tips,
    )


def _fill_limits(rules: Rules, config: RollupConfig) -> BlockLimits:
    """What a block is filled up to: the chain's own limits, else what provers of the time are known to take."""
    limits = config.block_limits
    return BlockLimits(
        transactions=limits.transactions or rules.filled_transactions, size=limits.size or rules.filled_bytes
    )


def apply_or_refuse(block: BlockExecution, raw: bytes) -> TransactionResult:
    """Execute one transaction, whatever it does to the interpreter. Raises `InvalidTransaction`."""
    try:
        return apply(block, raw)
    except KromaError:
        raise
    except Exception as error:  # border: forced transaction
        # A batch that makes the interpreter stumble must not stop the node, now and at every restart.
        raise InvalidTransaction(f"it cannot be executed: {type(error).__name__}: {error}") from error


def apply(block: BlockExecution, raw: bytes) -> TransactionResult:
    """Execute one transaction of the block. Raises `InvalidTransaction`, leaving state and gas untouched."""
    return apply_deposit(block, raw) if is_deposit(raw) else apply_signed(block, raw)


def _begin(plan: BlockPlan, block: BlockExecution, config: RollupConfig) -> None:
    """What the protocol does to the state before the first transaction."""
    before = config.schedule.at(plan.timestamp - 1)
    if plan.rules.create2_deployer and not before.create2_deployer:
        block.state.set_code(CREATE2_DEPLOYER, _code_of("create2deployer"))
        block.state.end_transaction()
    if plan.rules.multicall3 and not before.multicall3:
        block.state.set_code(MULTICALL3, _code_of("multicall3"))
        block.state.end_transaction()
    if plan.parent_beacon_root is not None:
        block.system_call(BEACON_ROOTS, plan.parent_beacon_root)
    if plan.rules.history_contract:
        block.system_call(HISTORY_STORAGE, plan.parent_hash)


def _footprint(plan: BlockPlan) -> tuple[int, int | None]:
    """DA footprint of the planned transactions (blobGasUsed of the header), and what a byte adds to it.

    Without a footprint it is 0; the scalar is None too in the block that brings it.

    Spec: jovian/exec-engine.md, "DA Footprint Block Limit".
    """
    if not plan.rules.da_footprint:
        return 0, None
    if not plan.transactions or not is_deposit(plan.transactions[0]):
        raise InvalidBlock(f"block {plan.number} does not begin with the L1 attributes deposit")
    signed = [raw for raw in plan.transactions if not is_deposit(raw)]
    try:
        scalar = da_footprint_gas_scalar(decode_deposit(plan.transactions[0]).data)
    except DecodeError as error:
        raise InvalidBlock(f"block {plan.number}: {error}") from error
    if scalar is None:
        if signed:
            raise InvalidBlock(f"block {plan.number} brings the DA footprint and may hold deposits only")
        return 0, None
    footprint = da_footprint(signed, scalar)
    if footprint > plan.gas_limit:
        raise InvalidBlock(f"DA footprint {footprint} of block {plan.number} exceeds its gas limit {plan.gas_limit}")
    return footprint, scalar


def _withdrawals_root(rules: Rules, state: WorldState, config: RollupConfig) -> Hash32 | None:
    if not rules.withdrawals_root_is_storage_root:
        return EMPTY_ROOT if rules.withdrawals else None
    passer = MESSAGE_PASSER[config.family]
    return state.storage_root(passer) if state.account_exists(passer) else ZERO_HASH


@functools.cache
def _code_of(contract: str) -> bytes:
    """Runtime code, from the reference clients. Spec: canyon/overview.md; kroma-geth, consensus/misc/multicall3.go."""
    text = (resources.files("kroma_engine_pyevm") / "data" / f"{contract}.hex").read_text()
    return bytes.fromhex(text.replace("\n", ""))
