"""Logs, and things to come: `eth_getLogs`, filters that are polled, subscriptions over WebSocket.

Spec: execution-apis, "eth"; geth, "Real-time Events".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import trio

from kroma_core.api import Clock
from kroma_core.codec.hexadecimal import shown, to_data
from kroma_core.jsonrpc.connection import Connection
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.l2 import L2Label
from kroma_core.node.eth import arguments
from kroma_core.node.eth.blocks import Blocks, KnownBlock, KnownTransaction
from kroma_core.node.eth.feed import ChainFeed, Listener
from kroma_core.node.eth.logs import LogQuery, query_of, search
from kroma_core.node.eth.shapes import header_json, transaction_json
from kroma_core.types import Hash32

MOST_FILTERS: Final = 1000
MOST_UNREAD: Final = 20_000
MOST_SUBSCRIPTIONS: Final = 128
"""Of one client."""
EXPIRY_SECONDS: Final = 300.0
"""A filter that nobody polls for so long is gone."""

_Take = Callable[[Any], None]


@attrs.define(kw_only=True, eq=False)
class _Filter:
    """What a client polls. `unread` is what came since it asked last; `query` is there for logs."""

    expires: float
    query: LogQuery | None = None
    transactions: bool = False
    in_full: bool = False
    unread: list[Any] = attrs.field(factory=list)
    lost: int = 0

    def take(self, item: Any) -> None:
        if len(self.unread) < MOST_UNREAD:
            self.unread.append(item)
        else:
            self.lost += 1


class FilterMethods:
    """Logs, filters and subscriptions. `now` gives the seconds by which filters expire."""

    def __init__(self, blocks: Blocks, feed: ChainFeed, now: Clock = trio.current_time) -> None:
        self._blocks = blocks
        self._feed = feed
        self._now = now
        self._earliest = blocks.config.genesis.l2.number
        self._filters: dict[str, tuple[_Filter, Listener]] = {}

    def eth(self) -> Mapping[str, Handler]:
        return {
            "getLogs": self.logs,
            "newFilter": self.new_filter,
            "newBlockFilter": self.new_block_filter,
            "newPendingTransactionFilter": self.new_transaction_filter,
            "getFilterChanges": self.changes,
            "getFilterLogs": self.filter_logs,
            "uninstallFilter": self.uninstall,
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
        }

    async def logs(self, query: Any) -> list[Any]:
        return await search(self._blocks, query_of(query, self._earliest))

    # --- filters

    async def new_filter(self, query: Any) -> str:
        wanted = query_of(query, self._earliest)
        found = _Filter(expires=self._expiry(), query=wanted)
        return await self._install(found, Listener(logs=wanted.filter, on_log=found.take))

    async def new_block_filter(self) -> str:
        found = _Filter(expires=self._expiry())
        return await self._install(found, Listener(on_block=lambda block: found.take(to_data(block.hash))))

    async def new_transaction_filter(self, full: Any = False) -> str:
        found = _Filter(expires=self._expiry(), transactions=True, in_full=arguments.flag(full, "full transactions"))
        return await self._install(found, Listener(on_transaction=found.take))

    async def _install(self, found: _Filter, listener: Listener) -> str:
        await self._feed.look()  # what was there before does not count
        self._forget_expired()
        if len(self._filters) >= MOST_FILTERS:
            raise RpcError(Code.LIMIT_EXCEEDED, f"there are {MOST_FILTERS} filters already: uninstall one, or wait")
        name = _new_id()
        self._filters[name] = (found, listener)
        self._feed.add(listener)
        return name

    async def changes(self, name: Any) -> list[Any]:
        found, _ = self._filter(name)
        await self._feed.look()
        if found.lost:
            del self._filters[name]
            raise RpcError(Code.LIMIT_EXCEEDED, f"filter had more than {MOST_UNREAD} unread results and is gone")
        found.expires = self._expiry()
        unread, found.unread = found.unread, []
        if not found.transactions:
            return unread
        return [await self._pending(transaction_hash, found.in_full) for transaction_hash in unread]

    async def filter_logs(self, name: Any) -> list[Any]:
        found, _ = self._filter(name)
        if found.query is None:
            raise RpcError(Code.SERVER_ERROR, "filter not found")
        found.expires = self._expiry()
        return await search(self._blocks, found.query)

    async def uninstall(self, name: Any) -> bool:
        self._forget_expired()
        entry = self._filters.pop(name, None) if isinstance(name, str) else None
        if entry is not None:
            self._feed.remove(entry[1])
        return entry is not None

    def _filter(self, name: Any) -> tuple[_Filter, Listener]:
        self._forget_expired()
        entry = self._filters.get(name) if isinstance(name, str) else None
        if entry is None:
            raise RpcError(Code.SERVER_ERROR, "filter not found")
        return entry

    def _expiry(self) -> float:
        return self._now() + EXPIRY_SECONDS

    def _forget_expired(self) -> None:
        now = self._now()
        for name, (found, listener) in list(self._filters.items()):
            if found.expires < now:
                del self._filters[name]
                self._feed.remove(listener)

    async def _pending(self, transaction_hash: Hash32, in_full: bool) -> Any:
        """A transaction of the pool; its hash alone where it has left the pool since."""
        pool = self._blocks.pool
        raw = await pool.pooled_transaction(transaction_hash) if in_full and pool is not None else None
        if raw is None:
            return to_data(transaction_hash)
        _, head = await self._blocks.header(L2Label.UNSAFE)
        return transaction_json(KnownTransaction.decode(raw, self._blocks.rules_of(head)), None, 0, None)

    # --- subscriptions

    async def subscribe(self, kind: Any, wanted: Any = None, *, connection: Connection | None = None) -> str:
        if connection is None:
            raise RpcError(Code.METHOD_NOT_FOUND, "notifications not supported")
        if len(connection.subscriptions) >= MOST_SUBSCRIPTIONS:
            raise RpcError(Code.LIMIT_EXCEEDED, f"a client has at most {MOST_SUBSCRIPTIONS} subscriptions")
        name = _new_id()

        def tell(result: Any) -> None:
            connection.notify("eth_subscription", {"subscription": name, "result": result})

        run = self._subscription(kind, wanted, tell)
        scope = connection.subscriptions[name] = trio.CancelScope()
        await self._feed.look()

        async def task() -> None:
            try:
                with scope:
                    await run()
            finally:
                connection.subscriptions.pop(name, None)

        connection.start_soon(task)
        return name

    def _subscription(self, kind: Any, wanted: Any, tell: _Take) -> Callable[[], Any]:
        """The task of a subscription. Raises `DecodeError` where there is none of this kind."""
        match kind:
            case "newHeads":

                def on_block(block: KnownBlock) -> None:
                    tell(header_json(block.header, block.hash))

                return lambda: self._listen(Listener(on_block=on_block))
            case "logs":
                query = query_of({} if wanted is None else wanted, self._earliest)
                return lambda: self._listen(Listener(logs=query.filter, on_log=tell))
            case "newPendingTransactions":
                in_full = False if wanted is None else arguments.flag(wanted, "full transactions")
                return lambda: self._tell_transactions(in_full, tell)
        raise RpcError(Code.METHOD_NOT_FOUND, f"no {shown(kind)} subscription in eth namespace")

    async def _listen(self, listener: Listener) -> None:
        self._feed.add(listener)
        try:
            await trio.sleep_forever()
        finally:
            self._feed.remove(listener)

    async def _tell_transactions(self, in_full: bool, tell: _Take) -> None:
        send, receive = trio.open_memory_channel[Hash32](MOST_UNREAD)

        def arrived(transaction_hash: Hash32) -> None:
            try:
                send.send_nowait(transaction_hash)
            except trio.WouldBlock:
                send.close()  # the client is told no more than it can follow

        listener = Listener(on_transaction=arrived)
        self._feed.add(listener)
        try:
            async for transaction_hash in receive:
                tell(await self._pending(transaction_hash, in_full))
        finally:
            self._feed.remove(listener)

    async def unsubscribe(self, name: Any, *, connection: Connection | None = None) -> bool:
        if connection is None:
            raise RpcError(Code.METHOD_NOT_FOUND, "notifications not supported")
        scope = connection.subscriptions.pop(name, None) if isinstance(name, str) else None
        if scope is None:
            raise RpcError(Code.SERVER_ERROR, "subscription not found")
        scope.cancel()
        return True


def _new_id() -> str:
    return to_data(secrets.token_bytes(16))
