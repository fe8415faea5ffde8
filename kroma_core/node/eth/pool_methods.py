"""Sending transactions, what waits, and what a block may take of it: `eth_sendRawTransaction`, `txpool_`, `miner_`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kroma_core.api import Refused, TxPool
from kroma_core.codec.hexadecimal import data, quantity, to_data, to_quantity
from kroma_core.jsonrpc.methods import Handler
from kroma_core.l2 import L2Label
from kroma_core.node.eth import arguments
from kroma_core.node.eth.blocks import Blocks, KnownTransaction
from kroma_core.node.eth.failures import refusal_error
from kroma_core.node.eth.feed import ChainFeed
from kroma_core.node.eth.shapes import JsonObject, to_checksum, transaction_json


class PoolMethods:
    """The transaction pool of an engine that has one."""

    def __init__(self, blocks: Blocks, pool: TxPool, feed: ChainFeed) -> None:
        self._blocks = blocks
        self._pool = pool
        self._feed = feed

    def eth(self) -> Mapping[str, Handler]:
        return {"sendRawTransaction": self.send, "pendingTransactions": self.own}

    def txpool(self) -> Mapping[str, Handler]:
        return {
            "status": self.status,
            "content": self.content,
            "contentFrom": self.content_from,
            "inspect": self.inspect,
        }

    def miner(self) -> Mapping[str, Handler]:
        """For those who run the sequencer alone: it says what blocks may hold."""
        return {"setMaxDASize": self.limit_data}

    async def limit_data(self, transaction: Any, block: Any) -> bool:
        """Zero is no limit, as in op-geth's miner."""
        most = [
            quantity(value, what, 256) or None for value, what in ((transaction, "maxTxSize"), (block, "maxBlockSize"))
        ]
        await self._pool.limit_data(*most)
        return True

    async def send(self, raw: Any) -> str:
        added = await self._pool.add_transaction(data(raw, "transaction"))
        if isinstance(added, Refused):
            raise refusal_error(added)
        self._feed.nudge()
        return to_data(added.hash)

    async def own(self) -> list[Any]:
        """Transactions of accounts that this node has: it has none."""
        return []

    async def status(self) -> JsonObject:
        pending, queued = await self._pool.pool_counts()
        return {"pending": to_quantity(pending), "queued": to_quantity(queued)}

    async def content(self) -> JsonObject:
        found = await self._pool.pool_content()
        return {
            "pending": {to_checksum(sender): await self._shown(raws) for sender, raws in found.pending.items()},
            "queued": {to_checksum(sender): await self._shown(raws) for sender, raws in found.queued.items()},
        }

    async def content_from(self, address: Any) -> JsonObject:
        sender = arguments.address(address)
        found = await self._pool.pool_content()
        return {
            "pending": await self._shown(found.pending.get(sender, ())),
            "queued": await self._shown(found.queued.get(sender, ())),
        }

    async def inspect(self) -> JsonObject:
        content = await self.content()
        return {
            part: {
                sender: {nonce: _summary(transaction) for nonce, transaction in by_nonce.items()}
                for sender, by_nonce in senders.items()
            }
            for part, senders in content.items()
        }

    async def _shown(self, raws: tuple[bytes, ...]) -> JsonObject:
        _, head = await self._blocks.header(L2Label.UNSAFE)
        rules = self._blocks.rules_of(head)
        known = [KnownTransaction.decode(raw, rules) for raw in raws]
        shown = [transaction_json(one, None, 0, None) for one in known]
        return {str(int(one["nonce"], 16)): one for one in shown}


def _summary(transaction: JsonObject) -> str:
    to = transaction["to"] or "contract creation"
    value, gas, price = (int(transaction[key], 16) for key in ("value", "gas", "gasPrice"))
    return f"{to}: {value} wei + {gas} gas × {price} wei"
