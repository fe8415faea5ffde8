"""Blocks of the engine as this server holds them: taken apart once, and kept while they are asked for."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import attrs
import trio

from kroma_core.api import ExecutionEngine, StateQueries, TxPool
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.receipt_fees import BlockFees, block_fees
from kroma_core.codec.deposits import DepositTransaction, decode_deposit, is_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.rlp import encode_bytes, encode_list
from kroma_core.codec.transactions import DEPOSIT, Transaction, decode_transaction
from kroma_core.errors import DecodeError, NotFound
from kroma_core.forks import Rules
from kroma_core.l2 import L2Label
from kroma_core.types import Address, Hash32, L2Number

_KEPT_BLOCKS = 128
_SENDERS_AT_ONCE = 100
T = TypeVar("T")


@attrs.frozen
class KnownTransaction:
    """A transaction of a block or of the pool: as it stands there, and taken apart."""

    raw: bytes = attrs.field(repr=False)
    content: Transaction | DepositTransaction
    hash: Hash32

    @classmethod
    def decode(cls, raw: bytes, rules: Rules) -> KnownTransaction:
        """Raises `DecodeError`."""
        if is_deposit(raw):
            deposit = decode_deposit(raw, legacy=rules.legacy_deposits)
            return cls(raw, deposit, keccak256(raw))
        signed = decode_transaction(raw)
        return cls(raw, signed, signed.hash)

    @property
    def type(self) -> int:
        return DEPOSIT if isinstance(self.content, DepositTransaction) else self.content.type

    @property
    def sender(self) -> Address:
        return self.content.sender


@attrs.frozen(kw_only=True, eq=False, slots=False)
class KnownBlock:
    """A block with its transactions taken apart."""

    hash: Hash32
    header: Header
    transactions: tuple[KnownTransaction, ...] = attrs.field(repr=False)

    @property
    def base_fee(self) -> int:
        return self.header.base_fee or 0

    @functools.cached_property
    def encoded(self) -> bytes:
        """The block's RLP: header, transactions, no uncles, and no withdrawals where there is a list of them."""
        transactions = [
            transaction.raw if transaction.raw[0] >= 0xC0 else encode_bytes(transaction.raw)
            for transaction in self.transactions
        ]
        parts = [self.header.encode(), encode_list(transactions), encode_list([])]
        if self.header.withdrawals_root is not None:
            parts.append(encode_list([]))
        return encode_list(parts)


BlockName: TypeAlias = Hash32 | L2Number | L2Label


class Blocks:
    """The engine's blocks by name, the last ones kept. `engine` has the protocols that `queries` and `pool` name."""

    def __init__(self, chain: ChainConfig, engine: ExecutionEngine, queries: StateQueries, pool: TxPool | None) -> None:
        self.config = chain.rollup
        self.engine = engine
        self.queries = queries
        self.pool = pool
        self._blocks: OrderedDict[Hash32, KnownBlock] = OrderedDict()
        self._receipts: OrderedDict[Hash32, tuple[Receipt, ...]] = OrderedDict()

    async def hash_of(self, name: BlockName) -> Hash32 | None:
        """The hash of a block; None for a number that the canonical chain does not have."""
        if isinstance(name, L2Label):
            heads = await self.engine.heads()
            return {L2Label.UNSAFE: heads.unsafe, L2Label.SAFE: heads.safe, L2Label.FINALIZED: heads.finalized}[name]
        return name if isinstance(name, bytes) else await self.queries.canonical(name)

    async def header(self, name: BlockName) -> tuple[Hash32, Header]:
        """Hash and header of a block. Raises `NotFound`."""
        block_hash = await self.hash_of(name)
        if block_hash is None:
            raise NotFound("header not found")
        try:
            return block_hash, await self.queries.header(block_hash)
        except NotFound as error:
            raise NotFound("header not found") from error

    async def block(self, name: BlockName) -> KnownBlock | None:
        """A block, None where there is none of this name."""
        block_hash = await self.hash_of(name)
        if block_hash is None:
            return None
        found = self._blocks.get(block_hash)
        if found is not None:
            self._blocks.move_to_end(block_hash)
            return found
        try:
            payload = await self.engine.block(block_hash)
            header = await self.queries.header(block_hash)
        except NotFound:
            return None
        rules = self.rules_of(header)
        transactions = tuple([KnownTransaction.decode(raw, rules) for raw in payload.transactions])
        found = KnownBlock(hash=block_hash, header=header, transactions=transactions)
        _keep(self._blocks, block_hash, found)
        return found

    async def with_senders(self, block: KnownBlock) -> KnownBlock:
        """The block with all senders recovered, others served in between. Raises `DecodeError`."""
        for index, transaction in enumerate(block.transactions):
            if index % _SENDERS_AT_ONCE == _SENDERS_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            transaction.sender  # noqa: B018  # kept by the transaction
        return block

    async def receipts(self, block_hash: Hash32) -> Sequence[Receipt]:
        """Receipts of a block, with the nonces of its deposits. Raises `NotFound`."""
        found = self._receipts.get(block_hash)
        if found is None:
            found = tuple([Receipt.decode(raw) for raw in await self.queries.stored_receipts(block_hash)])
            _keep(self._receipts, block_hash, found)
        return found

    def rules_of(self, header: Header) -> Rules:
        return self.config.schedule.at(header.timestamp)

    def fees_of(self, block: KnownBlock) -> BlockFees | None:
        """The fee numbers of a block's receipts; None where its first transaction is no L1-attributes deposit."""
        first = block.transactions[0].content if block.transactions else None
        if not isinstance(first, DepositTransaction):
            return None
        try:
            return block_fees(first.data, self.rules_of(block.header))
        except DecodeError:
            return None


def _keep(kept: OrderedDict[Hash32, T], key: Hash32, value: T) -> None:
    kept[key] = value
    if len(kept) > _KEPT_BLOCKS:
        kept.popitem(last=False)
