"""Recorded blocks as the JSON-RPC shows them: every field that a client needs to check hashes and roots.

Spec: execution-apis, "eth"; EIP-4844, EIP-7702.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.chain.l1_config import blob_base_fee
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.codec.receipts import Log
from kroma_core.codec.transactions import BLOB, decode_transaction
from kroma_core.l1 import L1Receipts
from kroma_core.node.eth.blocks import KnownBlock, KnownTransaction
from kroma_core.node.eth.shapes import JsonObject, block_json, header_json, log_json, receipt_json, transaction_json
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.types import Hash32

BLOB_GAS: Final = 131_072
KEPT: Final = 64


class RecordedBlocks:
    """Blocks of a recording, verified, taken apart once and kept while they are asked for."""

    def __init__(self, chain: RecordedChain, config: ChainConfig) -> None:
        self._chain, self._config = chain, config
        self._kept: OrderedDict[Hash32, tuple[KnownBlock, L1Receipts]] = OrderedDict()

    def block(self, block_hash: Hash32) -> KnownBlock:
        return self._both(block_hash)[0]

    def receipts(self, block_hash: Hash32) -> L1Receipts:
        return self._both(block_hash)[1]

    def block_json(self, block_hash: Hash32, *, full: bool) -> JsonObject:
        """A block, with its transactions in full or their hashes alone.

        A recording has no withdrawals of validators. Where the block had some the list is left out: a made-up one would
        contradict the header.
        """
        block = self.block(block_hash)
        found = block_json(block, None)
        if full:
            found["transactions"] = [self._transaction(block, index) for index in range(len(block.transactions))]
        if block.header.withdrawals_root not in (None, EMPTY_ROOT):
            del found["withdrawals"]
        return found

    def header_json(self, block_hash: Hash32) -> JsonObject:
        return header_json(self._chain.reader.header(block_hash), block_hash)

    def transaction_json(self, block_hash: Hash32, index: int) -> JsonObject | None:
        block = self.block(block_hash)
        return self._transaction(block, index) if index < len(block.transactions) else None

    def receipts_json(self, block_hash: Hash32) -> list[JsonObject]:
        block, receipts = self._both(block_hash)
        price = self._blob_price(block)
        found: list[JsonObject] = []
        first_log = 0
        for index, receipt in enumerate(receipts):
            item = receipt_json(block, index, receipts, None, first_log)
            first_log += len(receipt.logs)
            if receipt.post_state is not None:
                del item["status"]
                item["root"] = to_data(receipt.post_state)
            transaction = block.transactions[index]
            if transaction.type == BLOB:
                item["blobGasUsed"] = to_quantity(BLOB_GAS * len(decode_transaction(transaction.raw).blob_hashes))
                if price is not None:
                    item["blobGasPrice"] = to_quantity(price)
            found.append(item)
        return found

    def logs_json(self, block_hash: Hash32) -> Iterator[tuple[Log, JsonObject]]:
        """Every log of a block, as a value and in JSON."""
        block, receipts = self._both(block_hash)
        place = 0
        for index, receipt in enumerate(receipts):
            for log in receipt.logs:
                yield log, log_json(log, block, index, place)
                place += 1

    def _transaction(self, block: KnownBlock, index: int) -> JsonObject:
        transaction = block.transactions[index]
        found = transaction_json(transaction, block, index, None)
        if transaction.type == BLOB:
            content = decode_transaction(transaction.raw)
            found["maxFeePerBlobGas"] = to_quantity(content.max_fee_per_blob_gas or 0)
            found["blobVersionedHashes"] = [to_data(one) for one in content.blob_hashes]
        return found

    def _blob_price(self, block: KnownBlock) -> int | None:
        """What the L1 itself charged: an L2 that held on to an old schedule is no matter here."""
        rules = self._config.rollup.schedule.at(block.header.timestamp)
        return blob_base_fee(block.header, self._config.l1, attrs.evolve(rules, cancun_blob_fee_override=False))

    def _both(self, block_hash: Hash32) -> tuple[KnownBlock, L1Receipts]:
        found = self._kept.get(block_hash)
        if found is None:
            block = self._chain.reader.block(block_hash)
            signed = [decode_transaction(raw) for raw in block.transactions]
            known = KnownBlock(
                hash=block_hash,
                header=block.header,
                transactions=tuple([KnownTransaction(one.raw, one, one.hash) for one in signed]),
            )
            found = known, self._chain.reader.receipts(block_hash)
            self._kept[block_hash] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(block_hash)
        return found
