"""JSON-RPC requests over one WebSocket, many at a time, and what the server sends unasked."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs
import trio
import trio_websocket
from wsproto.utilities import LocalProtocolError

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Unusable, parsed, single
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.jsonrpc.http_answer import DEFAULT_WAIT, Headers

MOST_FEEDS: Final = 64
KEPT_NOTICES: Final = 64
"""Notices of a subscription that wait for their reader; older ones make way."""
NOBODY: Final = 0
"""The id of requests whose answer nobody waits for; others count from 1."""
MOST_WAITING: Final = 1024
"""Requests that wait to be sent."""
_CONNECTING = 60.0
_CLOSING = 1.0
_TOO_BIG = 1009

_Ending: TypeAlias = tuple[Failure, str]
"""Why nothing more comes."""


@attrs.define(eq=False)
class _Slot:
    """Where one exchange waits for its answer."""

    done: trio.Event = attrs.field(factory=trio.Event)
    answer: Any = None
    failed: _Ending | None = None

    def fail(self, failure: Failure, reason: str) -> None:
        self.failed = (failure, reason)
        self.done.set()


@attrs.define(eq=False)
class _Feed:
    """What a subscription has sent and nobody has read."""

    notices: deque[Any] = attrs.field(factory=lambda: deque(maxlen=KEPT_NOTICES))
    changed: trio.Event = attrs.field(factory=trio.Event)
    ended: _Ending | None = None

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


@attrs.define(eq=False, kw_only=True)
class _Connection:
    """One connection: what is to be sent on it, and who waits for what comes."""

    scope: trio.CancelScope
    outbox: trio.MemorySendChannel[str]
    heard_at: float
    slots: dict[int, _Slot] = attrs.field(factory=dict)
    feeds: dict[str, _Feed] = attrs.field(factory=dict)
    forgotten: deque[str] = attrs.field(factory=lambda: deque(maxlen=MOST_FEEDS))
    """Subscriptions that nobody reads any more; the server may not have heard of it yet."""
    ended: _Ending | None = None

    def take(self, value: Any) -> None:
        """Hand a message to who waits for it; what nobody waits for is dropped."""
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, Mapping):
                continue
            if item.get("method") == "eth_subscription":
                self._noticed(item.get("params"))
                continue
            request_id = item.get("id")
            slot = self.slots.get(request_id) if type(request_id) is int else self._only_one(item)
            if slot is not None:
                slot.answer = value
                slot.done.set()
                return

    def _only_one(self, item: Mapping[str, Any]) -> _Slot | None:
        """The exchange that an error without an id belongs to, where only one is under way."""
        waiting = self.waiting
        return waiting[0] if len(waiting) == 1 and "error" in item else None

    def _noticed(self, params: Any) -> None:
        if not isinstance(params, Mapping) or not isinstance(params.get("subscription"), str):
            return
        if params["subscription"] in self.forgotten:
            return
        # A notice may come before the task that subscribed has read its answer.
        feed = self.feed(params["subscription"])
        if feed is not None:
            feed.notices.append(params.get("result"))
            feed.wake()

    def feed(self, subscription: str) -> _Feed | None:
        if subscription not in self.feeds and len(self.feeds) >= MOST_FEEDS:
            return None
        return self.feeds.setdefault(subscription, _Feed())

    @property
    def waiting(self) -> list[_Slot]:
        return list({id(slot): slot for slot in self.slots.values()}.values())

    def end(self, failure: Failure, reason: str) -> None:
        """Tell everybody who waits that nothing more will come."""
        self.ended = (failure, reason)
        for slot in self.waiting:
            slot.fail(failure, reason)
        for feed in self.feeds.values():
            feed.ended = (failure, reason)
            feed.wake()


class WebSocketLine:
    """One connection to a server, made when it is first needed and again after it broke."""

    def __init__(
        self, address: ServerAddress, nursery: trio.Nursery, *, headers: Headers | None, max_bytes: int
    ) -> None:
        self.address = address
        self._nursery = nursery
        self._headers = headers
        self._max_bytes = max_bytes
        self._current: _Connection | None = None
        self._connecting = trio.Lock()
        self._lost = False

    async def exchange(self, body: bytes, ids: range, method: str) -> Any:
        """The JSON value that answers `body`, whose requests have `ids`. Raises `NoAnswer`."""
        connection = await self._connected(method)
        if connection.ended is not None:
            raise self._failed(method, *connection.ended)
        slot = _Slot()
        connection.slots |= dict.fromkeys(ids, slot)
        try:
            # Sent by the connection's own task: cancelling an exchange never leaves half a message behind.
            await connection.outbox.send(body.decode())
            await slot.done.wait()
        finally:
            for request_id in ids:
                connection.slots.pop(request_id, None)
        if slot.failed is not None:
            raise self._failed(method, *slot.failed)
        return slot.answer

    def unanswered(self, seconds: float) -> None:
        """An exchange had no answer for so long: where nothing else came either, the connection is given up."""
        connection = self._current
        if connection is not None and connection.heard_at <= trio.current_time() - seconds:
            self._current = None
            connection.scope.cancel()

    def notice_lost(self) -> bool:
        """Whether a connection has ended since this was asked last."""
        lost, self._lost = self._lost, False
        return lost

    def feed(self, subscription: str) -> _Feed:
        """Where the notices of a subscription come in; ended already where the connection is gone."""
        found = self._current.feed(subscription) if self._current is not None else None
        return found or _Feed(ended=(Failure.UNREACHABLE, "the connection closed"))

    def forget(self, subscription: str) -> None:
        """Nobody reads a subscription any more: tell the server, whose answer does not matter."""
        connection = self._current
        if connection is not None and connection.feeds.pop(subscription, None) is not None:
            connection.forgotten.append(subscription)
            with contextlib.suppress(trio.WouldBlock):
                connection.outbox.send_nowait(single(NOBODY, ("eth_unsubscribe", (subscription,))).decode())

    async def _connected(self, method: str) -> _Connection:
        async with self._connecting:
            if self._current is None or self._current.ended is not None:
                self._current = await self._nursery.start(self._serve, method)
            assert self._current is not None
            return self._current

    async def _serve(self, method: str, task_status: trio.TaskStatus[_Connection] = trio.TASK_STATUS_IGNORED) -> None:
        """Read and write one connection to its end, then tell everybody who waits."""
        connection: _Connection | None = None
        ending = (Failure.UNREACHABLE, "the connection was given up")
        try:
            with trio.CancelScope() as scope:
                async with self._opened() as socket:
                    outbox, to_send = trio.open_memory_channel[str](MOST_WAITING)
                    connection = _Connection(scope=scope, outbox=outbox, heard_at=trio.current_time())
                    task_status.started(connection)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_write, socket, to_send)
                        ending = await self._read(socket, connection)
                        nursery.cancel_scope.cancel()
        except (trio_websocket.HandshakeError, trio.BrokenResourceError, OSError) as error:
            if connection is None:
                raise self._handshake(error, method) from error
            ending = (Failure.UNREACHABLE, "the connection broke")
        finally:
            if connection is not None:
                self._lost = True
                if self._current is connection:
                    self._current = None
                connection.end(*ending)

    def _opened(self) -> AbstractAsyncContextManager[trio_websocket.WebSocketConnection]:
        address = self.address
        headers = dict(self._headers()) if self._headers is not None else {}
        if address.authorization is not None:
            headers.setdefault("Authorization", address.authorization)
        return trio_websocket.open_websocket(
            address.host,
            address.port,
            address.target,
            use_ssl=address.encrypted,
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            max_message_size=self._max_bytes,
            connect_timeout=_CONNECTING,
            disconnect_timeout=_CLOSING,
        )

    async def _read(self, socket: trio_websocket.WebSocketConnection, connection: _Connection) -> _Ending:
        """Take messages until the connection ends; returns why it did."""
        while True:
            try:
                message = await socket.get_message()
            except trio_websocket.ConnectionClosed as error:
                code = None if error.reason is None else error.reason.code
                if code == _TOO_BIG:
                    return Failure.TOO_LARGE, f"expected an answer of at most {self._max_bytes} bytes, got more"
                return Failure.UNREACHABLE, "the connection closed" + ("" if code is None else f" with code {code}")
            connection.heard_at = trio.current_time()
            try:
                value = parsed(message)
            except Unusable as error:
                # Whose answer it was cannot be known: everybody who waits has none.
                for slot in connection.waiting:
                    slot.fail(Failure.MALFORMED, str(error))
            else:
                connection.take(value)

    def _handshake(self, error: Exception, method: str) -> NoAnswer:
        if isinstance(error, trio_websocket.ConnectionRejected):
            status = error.status_code
            limited = status == 429
            return NoAnswer(
                server=self.address.name,
                method=method,
                failure=Failure.RATE_LIMITED if limited else Failure.STATUS,
                reason=f"expected a WebSocket, got HTTP status {status}",
                status=status,
                retry_after=DEFAULT_WAIT if limited else None,
            )
        cause = error.__cause__ or error
        text = self.address.censored(str(cause)) or type(cause).__name__
        return self._failed(method, Failure.UNREACHABLE, text)

    def _failed(self, method: str, failure: Failure, reason: str) -> NoAnswer:
        return NoAnswer(server=self.address.name, method=method, failure=failure, reason=reason)


async def _write(socket: trio_websocket.WebSocketConnection, to_send: trio.MemoryReceiveChannel[str]) -> None:
    """Send what is in the outbox; a closed connection is noticed by who reads it."""
    with contextlib.suppress(trio_websocket.ConnectionClosed, LocalProtocolError):
        async for message in to_send:
            await socket.send_message(message)


@asynccontextmanager
async def websocket_line(
    address: ServerAddress, *, headers: Headers | None, max_bytes: int
) -> AsyncIterator[WebSocketLine]:
    async with BackgroundTasks() as nursery:
        yield WebSocketLine(address, nursery, headers=headers, max_bytes=max_bytes)
