"""Blocks, transactions and receipts: `eth_getBlock*`, `eth_getTransaction*`, `debug_getRaw*`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.hexadecimal import quantity, to_data, to_quantity
from kroma_core.errors import NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.eth import arguments
from kroma_core.node.eth.arguments import BlockArgument, CanonicalHash
from kroma_core.node.eth.blocks import BlockName, Blocks, KnownBlock, KnownTransaction
from kroma_core.node.eth.shapes import JsonObject, block_json, header_json, receipt_json, transaction_json
from kroma_core.types import Hash32, L2Number


class ChainMethods:
    """What the chain holds. An unknown block or transaction is null."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._earliest = blocks.config.genesis.l2.number

    def eth(self) -> Mapping[str, Handler]:
        return {
            "blockNumber": self.block_number,
            "getHeaderByNumber": self.header_by_number,
            "getHeaderByHash": self.header_by_hash,
            "getBlockByNumber": self.block_by_number,
            "getBlockByHash": self.block_by_hash,
            "getBlockTransactionCountByNumber": self.transaction_count_by_number,
            "getBlockTransactionCountByHash": self.transaction_count_by_hash,
            "getUncleCountByBlockNumber": self.uncle_count_by_number,
            "getUncleCountByBlockHash": self.uncle_count_by_hash,
            "getUncleByBlockNumberAndIndex": self.no_uncle,
            "getUncleByBlockHashAndIndex": self.no_uncle,
            "getTransactionByHash": self.transaction,
            "getTransactionByBlockNumberAndIndex": self.transaction_by_number,
            "getTransactionByBlockHashAndIndex": self.transaction_by_hash,
            "getRawTransactionByHash": self.raw_transaction,
            "getRawTransactionByBlockNumberAndIndex": self.raw_transaction_by_number,
            "getRawTransactionByBlockHashAndIndex": self.raw_transaction_by_hash,
            "getTransactionReceipt": self.receipt,
            "getBlockReceipts": self.block_receipts,
        }

    def debug(self) -> Mapping[str, Handler]:
        return {
            "getRawHeader": self.raw_header,
            "getRawBlock": self.raw_block,
            "getRawReceipts": self.raw_receipts,
            "getRawTransaction": self.raw_transaction,
        }

    # --- blocks

    async def block_number(self) -> str:
        heads = await self._blocks.engine.heads()
        return to_quantity((await self._blocks.queries.header(heads.unsafe)).number)

    async def header_by_number(self, name: Any) -> JsonObject | None:
        return await self._header(arguments.number(name, self._earliest))

    async def header_by_hash(self, block_hash: Any) -> JsonObject | None:
        return await self._header(arguments.hash32(block_hash, "block hash"))

    async def _header(self, name: BlockName) -> JsonObject | None:
        try:
            block_hash, header = await self._blocks.header(name)
        except NotFound:
            return None
        return header_json(header, block_hash)

    async def block_by_number(self, name: Any, full: Any = False) -> JsonObject | None:
        return await self._shown(await self._numbered(name), full)

    async def block_by_hash(self, block_hash: Any, full: Any = False) -> JsonObject | None:
        return await self._shown(await self._hashed(block_hash), full)

    async def _shown(self, block: KnownBlock | None, full: Any) -> JsonObject | None:
        in_full = arguments.flag(full, "full transactions")
        if block is None:
            return None
        if not in_full:
            return block_json(block, None)
        return block_json(await self._blocks.with_senders(block), await self._blocks.receipts(block.hash))

    async def _numbered(self, name: Any) -> KnownBlock | None:
        return await self._blocks.block(arguments.number(name, self._earliest))

    async def _hashed(self, block_hash: Any) -> KnownBlock | None:
        return await self._blocks.block(arguments.hash32(block_hash, "block hash"))

    async def _named(self, name: Any) -> KnownBlock | None:
        return await self._blocks.block(await canonical_checked(self._blocks, arguments.block(name, self._earliest)))

    async def transaction_count_by_number(self, name: Any) -> str | None:
        block = await self._numbered(name)
        return None if block is None else to_quantity(len(block.transactions))

    async def transaction_count_by_hash(self, block_hash: Any) -> str | None:
        block = await self._hashed(block_hash)
        return None if block is None else to_quantity(len(block.transactions))

    async def uncle_count_by_number(self, name: Any) -> str | None:
        return None if await self._numbered(name) is None else "0x0"

    async def uncle_count_by_hash(self, block_hash: Any) -> str | None:
        return None if await self._hashed(block_hash) is None else "0x0"

    async def no_uncle(self, block: Any, index: Any) -> None:
        """No block of a rollup has one."""

    # --- transactions

    async def transaction(self, transaction_hash: Any) -> JsonObject | None:
        wanted = arguments.hash32(transaction_hash, "transaction hash")
        found = await self._located(wanted)
        if found is not None:
            return await self._transaction(*found)
        waiting = await self._pooled(wanted)
        return None if waiting is None else transaction_json(waiting, None, 0, None)

    async def _located(self, transaction_hash: Hash32) -> tuple[KnownBlock, int] | None:
        place = await self._blocks.queries.locate(transaction_hash)
        block = None if place is None else await self._blocks.block(place.block_hash)
        return None if place is None or block is None else (block, place.index)

    async def _pooled(self, transaction_hash: Hash32) -> KnownTransaction | None:
        pool = self._blocks.pool
        raw = None if pool is None else await pool.pooled_transaction(transaction_hash)
        if raw is None:
            return None
        _, head = await self._blocks.header(arguments.number("latest", self._earliest))
        return KnownTransaction.decode(raw, self._blocks.rules_of(head))

    async def _transaction(self, block: KnownBlock, index: int) -> JsonObject:
        transaction = block.transactions[index]
        receipt = None
        if isinstance(transaction.content, DepositTransaction):
            receipt = (await self._blocks.receipts(block.hash))[index]
        return transaction_json(transaction, block, index, receipt)

    async def transaction_by_number(self, name: Any, index: Any) -> JsonObject | None:
        return await self._at(await self._numbered(name), index)

    async def transaction_by_hash(self, block_hash: Any, index: Any) -> JsonObject | None:
        return await self._at(await self._hashed(block_hash), index)

    async def _at(self, block: KnownBlock | None, index: Any) -> JsonObject | None:
        position = quantity(index, "index")
        if block is None or position >= len(block.transactions):
            return None
        return await self._transaction(block, position)

    async def raw_transaction(self, transaction_hash: Any) -> str | None:
        wanted = arguments.hash32(transaction_hash, "transaction hash")
        found = await self._located(wanted)
        if found is not None:
            return to_data(found[0].transactions[found[1]].raw)
        waiting = await self._pooled(wanted)
        return None if waiting is None else to_data(waiting.raw)

    async def raw_transaction_by_number(self, name: Any, index: Any) -> str:
        return _raw_at(await self._numbered(name), index)

    async def raw_transaction_by_hash(self, block_hash: Any, index: Any) -> str:
        return _raw_at(await self._hashed(block_hash), index)

    # --- receipts

    async def receipt(self, transaction_hash: Any) -> JsonObject | None:
        found = await self._located(arguments.hash32(transaction_hash, "transaction hash"))
        if found is None:
            return None
        block, index = found
        receipts = await self._blocks.receipts(block.hash)
        first_log = sum(len(receipt.logs) for receipt in receipts[:index])
        return receipt_json(block, index, receipts, self._blocks.fees_of(block), first_log)

    async def block_receipts(self, name: Any) -> list[JsonObject] | None:
        block = await self._named(name)
        if block is None:
            return None
        receipts = await self._blocks.receipts((await self._blocks.with_senders(block)).hash)
        fees = self._blocks.fees_of(block)
        found, first_log = [], 0
        for index, receipt in enumerate(receipts):
            found.append(receipt_json(block, index, receipts, fees, first_log))
            first_log += len(receipt.logs)
        return found

    # --- bytes

    async def raw_header(self, name: Any) -> str:
        return to_data((await self._there(name)).header.encode())

    async def raw_block(self, name: Any) -> str:
        return to_data((await self._there(name)).encoded)

    async def raw_receipts(self, name: Any) -> list[str]:
        block = await self._there(name)
        return [to_data(receipt.encode_stored()) for receipt in await self._blocks.receipts(block.hash)]

    async def _there(self, name: Any) -> KnownBlock:
        block = await self._named(name)
        if block is None:
            raise RpcError(Code.SERVER_ERROR, "block not found")
        return block


def _raw_at(block: KnownBlock | None, index: Any) -> str:
    position = quantity(index, "index")
    if block is None or position >= len(block.transactions):
        return "0x"
    return to_data(block.transactions[position].raw)


async def canonical_checked(blocks: Blocks, name: BlockArgument) -> BlockName:
    """The block's name; an `RpcError` where it had to be canonical and is not."""
    if not isinstance(name, CanonicalHash):
        return name
    try:
        header = await blocks.queries.header(name.hash)
    except NotFound:
        return name.hash
    if await blocks.queries.canonical(L2Number(header.number)) != name.hash:
        raise RpcError(Code.SERVER_ERROR, "hash is not currently canonical")
    return name.hash
