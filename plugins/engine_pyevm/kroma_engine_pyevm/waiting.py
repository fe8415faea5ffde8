"""The engine's transaction pool on its chain: checks against the head's state, and what a block takes from it."""

from __future__ import annotations

import attrs
import trio

from kroma_core.api import BlockOverride, PoolArrivals, PoolContent, Pooled, Refusal, Refused
from kroma_core.chain.config import RollupConfig
from kroma_core.chain.fees import estimated_size, l1_fee
from kroma_core.codec.deposits import is_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.transactions import (
    ACCESS_LIST,
    DYNAMIC_FEE,
    LEGACY,
    SET_CODE,
    Transaction,
    decode_transaction,
)
from kroma_core.errors import DecodeError
from kroma_core.forks import EvmRules
from kroma_core.types import ZERO_HASH, Address, Hash32
from kroma_engine_pyevm.blocks import Room, apply_or_refuse
from kroma_engine_pyevm.calls import MAX_NONCE, delegate_of
from kroma_engine_pyevm.chain import ChainStore
from kroma_engine_pyevm.execution import BlockExecution, InvalidTransaction
from kroma_engine_pyevm.pool import Pool, PoolLimits
from kroma_engine_pyevm.signed import list_gas, operator_fee_of
from kroma_engine_pyevm.simulation import environment_of

L1_INFO_GAS = 70_000
"""What the L1 attributes take of every block: no transaction can have all of the gas limit."""
MAX_TRANSACTION_SIZE = 128 * 1024
_LEAST_TIP = 1
_LEAST_GAS = 21_000
_LEAST_DATA = 100
"""No transaction is estimated at fewer bytes."""
_REINJECTED_BLOCKS = 64
_U256 = 2**256


class WaitingTransactions:
    """The pool of an engine. `fill_seconds` bounds how long a block under construction takes from it."""

    def __init__(self, config: RollupConfig, store: ChainStore, limits: PoolLimits, fill_seconds: float) -> None:
        self._config = config
        self._store = store
        self._fill_seconds = fill_seconds
        self._pool = Pool(limits, self._account)
        self._transaction_data: int | None = None
        self._block_data: int | None = None
        self._head: Hash32 | None = None
        self._head_block: BlockExecution

    # --- the head

    def _at_head(self) -> BlockExecution:
        """The unsafe head as a block that transactions are judged by; nothing is executed in it."""
        head = self._store.heads().unsafe
        if head != self._head:
            header = self._known(head)
            environment = environment_of(header, self._config, lambda number: ZERO_HASH, BlockOverride())
            state = self._store.state_after(header, self._config.schedule)
            self._head_block = BlockExecution(state, environment)
            self._head = head
        return self._head_block

    def _known(self, block_hash: Hash32) -> Header:
        header = self._store.header(block_hash)
        assert header is not None  # heads are blocks of the store
        return header

    def _account(self, address: Address) -> tuple[int, int]:
        account = self._at_head().state.account(address)
        return account.nonce, account.balance

    def follow(self, before: Hash32) -> None:
        """The unsafe head was `before`: drop what the chain has now, take back what it has no longer."""
        head = self._store.heads().unsafe
        if head == before:
            return
        given_up = self._given_up(before, head)
        if len(self._pool):
            self._pool.head_changed()
        for raw in given_up:
            self._add(raw)

    def _given_up(self, before: Hash32, head: Hash32) -> list[bytes]:
        """Signed transactions of the blocks that are not in the chain any more, in their order."""
        blocks: list[Hash32] = []
        block_hash = before
        header = self._known(block_hash)
        while self._store.canonical(header.number) != block_hash and len(blocks) < _REINJECTED_BLOCKS:
            blocks.append(block_hash)
            block_hash = header.parent_hash
            header = self._known(block_hash)
        return [raw for one in reversed(blocks) for raw in self._store.transactions(one) if not is_deposit(raw)]

    # --- the protocol

    async def add_transaction(self, raw: bytes) -> Pooled | Refused:
        await trio.lowlevel.checkpoint()
        return self._add(raw)

    def _add(self, raw: bytes) -> Pooled | Refused:
        block = self._at_head()
        try:
            transaction = decode_transaction(raw)
        except DecodeError as error:
            cause = Refusal.TYPE if is_deposit(raw) else Refusal.UNDECODABLE
            return Refused(cause=cause, text=str(cause) if is_deposit(raw) else str(error))
        return _refusal_by_itself(transaction, block) or self._judged_by_state(transaction, block)

    def _judged_by_state(self, transaction: Transaction, block: BlockExecution) -> Pooled | Refused:
        sender = transaction.sender
        state = block.state
        nonce, balance = self._account(sender)
        if transaction.nonce < nonce:
            return _refused(Refusal.NONCE_TOO_LOW, f"next nonce {nonce}, tx nonce {transaction.nonce}")
        code = state.get_code(sender)
        if code and delegate_of(code) is None:
            return _refused(Refusal.NOT_AN_ACCOUNT, f"address 0x{sender.hex()}, {len(code)} bytes of code")
        parameters = block.l1_fee_parameters
        cost = transaction.gas * transaction.max_fee + transaction.value + operator_fee_of(block, transaction.gas)
        cost += l1_fee(transaction.raw, parameters, parameters.formula(block.rules.l1_fee)).fee
        if balance < cost:
            return _refused(Refusal.FUNDS, f"balance {balance}, tx cost {cost}, overshot {cost - balance}")
        return self._pool.add(transaction, sender, cost)

    async def pooled_transaction(self, transaction_hash: Hash32) -> bytes | None:
        await trio.lowlevel.checkpoint()
        waiting = self._pool.get(transaction_hash)
        return None if waiting is None else waiting.transaction.raw

    async def pooled_nonce(self, address: Address) -> int:
        await trio.lowlevel.checkpoint()
        return self._pool.next_nonce(address)

    async def pool_counts(self) -> tuple[int, int]:
        await trio.lowlevel.checkpoint()
        return self._pool.counts()

    async def pool_content(self) -> PoolContent:
        await trio.lowlevel.checkpoint()
        return self._pool.content()

    async def pool_arrivals(self, after: int) -> PoolArrivals:
        await trio.lowlevel.checkpoint()
        return self._pool.arrivals(after)

    async def limit_data(self, transaction: int | None, block: int | None) -> None:
        await trio.lowlevel.checkpoint()
        self._transaction_data, self._block_data = transaction, block

    # --- building

    async def fill(self, room: Room) -> tuple[bytes, ...]:
        """Put executable transactions into a block, the best tip first, until it is full or the time is over."""
        block, data = room.block, _Data(transaction=self._transaction_data, left=self._block_data)
        best = self._pool.best_first(block.environment.base_fee, block.state.get_nonce)
        end = trio.current_time() + self._fill_seconds
        taken: list[bytes] = []
        while block.gas_left >= _LEAST_GAS and data.some_left and (waiting := best.peek()) is not None:
            await trio.lowlevel.checkpoint()
            if trio.current_time() > end:
                break
            transaction, gas_left = waiting.transaction, block.gas_left
            if transaction.gas > gas_left or not room.takes(transaction.raw) or not data.takes(transaction.raw):
                best.skip_sender()
                continue
            try:
                apply_or_refuse(block, transaction.raw)
            except InvalidTransaction:
                block.state.abandon()
                block.gas_left = gas_left
                best.skip_sender()
                continue
            room.count(transaction.raw)
            data.count(transaction.raw)
            taken.append(transaction.raw)
            best.advance()
        return tuple(taken)


@attrs.define(kw_only=True)
class _Data:
    """What a block under construction may still bring to L1 of the pool, in bytes; None where there is no limit."""

    transaction: int | None
    left: int | None

    @property
    def some_left(self) -> bool:
        return self.left is None or self.left >= _LEAST_DATA

    def takes(self, raw: bytes) -> bool:
        limits = [limit for limit in (self.transaction, self.left) if limit is not None]
        return not limits or estimated_size(raw) <= min(limits)

    def count(self, raw: bytes) -> None:
        if self.left is not None:
            self.left -= estimated_size(raw)


def _refusal_by_itself(transaction: Transaction, block: BlockExecution) -> Refused | None:
    """What is wrong with a transaction whatever its sender's account has."""
    rules, machine, environment = block.rules, block.machine, block.environment
    types = (LEGACY, ACCESS_LIST, DYNAMIC_FEE) + ((SET_CODE,) if rules.evm >= EvmRules.PRAGUE else ())
    limit = machine.initcode_limit
    largest = max(environment.gas_limit - L1_INFO_GAS, 0)
    cap = rules.transaction_gas_cap
    checks = (
        (transaction.type not in types, Refusal.TYPE, ""),
        (len(transaction.raw) > MAX_TRANSACTION_SIZE, Refusal.TOO_LARGE, f"{len(transaction.raw)} bytes"),
        (
            transaction.to is None and limit is not None and len(transaction.data) > limit,
            Refusal.INITCODE_SIZE,
            f"code size {len(transaction.data)} limit {limit}",
        ),
        (cap is not None and transaction.gas > cap, Refusal.GAS_CAP, f"cap {cap}, tx {transaction.gas}"),
        (transaction.gas > largest, Refusal.GAS_LIMIT, ""),
        (max(transaction.max_fee, transaction.max_priority_fee) >= _U256, Refusal.FEE_TOO_LARGE, ""),
        (transaction.max_priority_fee > transaction.max_fee, Refusal.TIP_ABOVE_FEE, ""),
        (
            transaction.chain_id is None or not transaction.signed_for(environment.chain_id),
            Refusal.CHAIN_ID,
            f"this is chain {environment.chain_id}, only transactions protected for it are taken",
        ),
        (transaction.nonce >= MAX_NONCE, Refusal.NONCE_MAX, ""),
        (transaction.value >= _U256, Refusal.FUNDS, "the value exceeds 256 bits"),
        (
            transaction.max_priority_fee < _LEAST_TIP,
            Refusal.UNDERPRICED,
            f"gas tip cap {transaction.max_priority_fee}, minimum needed {_LEAST_TIP}",
        ),
        (
            transaction.type == SET_CODE and not transaction.authorizations,
            Refusal.AUTHORIZATIONS,
            "must have at least one authorization tuple",
        ),
    )
    for wrong, cause, numbers in checks:
        if wrong:
            return _refused(cause, numbers)
    intrinsic = block.intrinsic_gas(transaction) + list_gas(transaction.access_list, len(transaction.authorizations))
    for needed, cause in ((intrinsic, Refusal.INTRINSIC_GAS), (block.floor_gas(transaction), Refusal.FLOOR_GAS)):
        if transaction.gas < needed:
            return _refused(cause, f"gas {transaction.gas}, minimum needed {needed}")
    try:
        transaction.sender  # noqa: B018  # recovers it
    except DecodeError as error:
        return _refused(Refusal.SENDER, str(error))
    return None


def _refused(cause: Refusal, numbers: str) -> Refused:
    return Refused(cause=cause, text=f"{cause}: {numbers}" if numbers else str(cause))
