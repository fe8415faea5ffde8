"""Asking a JSON-RPC server, over HTTP or over a WebSocket.

    async with open_client("http://127.0.0.1:8545", part="l1 rpc") as client:
        chain_id = await client.call("eth_chainId")
        blocks = await client.batch([("eth_getBlockByNumber", ["0x1", True]), ("eth_getBlockByNumber", ["0x2", True])])

A client never tries again by itself: whoever asks knows whether, when and where that makes sense.
"""

from __future__ import annotations

import collections
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import trio

from kroma_core.events import Event, RequestAnswered
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Call, Result, Unusable, batch, result_of, results_of, single
from kroma_core.jsonrpc.errors import Failure, NoAnswer, RpcError

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds for a request with its answer."""
DEFAULT_CONNECTIONS: Final = 16
DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of an answer, decompressed."""


class _Line(Protocol):
    async def exchange(self, body: bytes, ids: range, method: str) -> Any: ...

    def unanswered(self, seconds: float) -> None: ...

    def notice_lost(self) -> bool: ...


class Client:
    """One server. Any number of tasks may ask at once; cancelling one leaves the others alone.

    Errors of `call` and `batch`: `NoAnswer` (a `TemporaryError`) where no proper answer came: no connection, no answer
    in time, an HTTP status other than 200, text that is not JSON or does not answer what was asked, too many bytes. An
    error object of the server is an answer: `call` raises it as `RpcError`, `batch` returns it in its place.

    After status 429, or another status with a Retry-After, nothing is sent until that time has passed: requests fail at
    once with what is left of it.
    """

    def __init__(
        self, line: _Line, address: ServerAddress, *, part: str, emit: Callable[[Event], None] | None, timeout: float
    ) -> None:
        self._line = line
        self._address = address
        self._part = part
        self._emit = emit
        self._timeout = timeout
        self._next_id = 1
        self._held_until = -math.inf

    @property
    def server(self) -> str:
        """The server's scheme, host and port."""
        return self._address.name

    @property
    def pushes(self) -> bool:
        """Whether `subscribe` works: over a WebSocket."""
        return self._address.pushes

    def notice_lost(self) -> bool:
        """Whether the server has closed a kept connection since this was asked last: it may be another one by now.

        Over https that is not known.
        """
        return self._line.notice_lost()

    async def call(self, method: str, *params: Any, within: float | None = None) -> Any:
        """The `result` of one call; `within` so many seconds, instead of the client's timeout."""
        result = (await self._ask([(method, params)], within, alone=True))[0]
        if isinstance(result, RpcError):
            raise result
        return result

    async def batch(self, calls: Sequence[Call], *, within: float | None = None) -> list[Any | RpcError]:
        """The `result` or the error of each of `calls`, in their order, asked for in one request."""
        return await self._ask(calls, within, alone=False) if calls else []

    async def subscribe(self, topic: str, *params: Any) -> AsyncIterator[Any]:
        """What the server sends for `eth_subscribe(topic, ...)`, such as `newHeads`; only where it `pushes`.

        A reader that falls behind loses the oldest notices. Raises `NoAnswer` where the connection breaks, `RpcError`
        where the server refuses.
        """
        from kroma_core.jsonrpc.over_websocket import WebSocketLine  # imported where a connection is opened

        line = self._line
        if not isinstance(line, WebSocketLine):
            raise self._failed(
                "eth_subscribe", Failure.STATUS, "this server is asked over HTTP: it cannot send unasked"
            )
        name = await self.call("eth_subscribe", topic, *params)
        if not isinstance(name, str):
            raise self._failed("eth_subscribe", Failure.MALFORMED, "expected the name of a subscription")
        feed = line.feed(name)
        try:
            while True:
                changed = feed.changed
                while feed.notices:
                    yield feed.notices.popleft()
                if feed.ended is not None:
                    raise self._failed("eth_subscribe", *feed.ended)
                if feed.changed is changed:
                    await changed.wait()
        finally:
            line.forget(name)

    async def _ask(self, calls: Sequence[Call], within: float | None, *, alone: bool) -> list[Result]:
        methods: Mapping[str, int]
        if len(calls) == 1:
            label = calls[0][0]
            methods = {label: 1}
        else:
            methods = collections.Counter(method for method, _ in calls)
            label = f"{'+'.join(sorted(methods))} ({len(calls)} in a batch)"
        started = trio.current_time()
        try:
            results = await self._exchanged(calls, label, self._timeout if within is None else within, alone)
        except NoAnswer as error:
            if error.retry_after is not None:
                self._held_until = max(self._held_until, trio.current_time() + error.retry_after)
            self._report(methods, started, str(error.failure))
            raise
        failed = sum(isinstance(result, RpcError) for result in results)
        self._report(methods, started, "error" if failed == len(results) else "ok")
        return results

    async def _exchanged(self, calls: Sequence[Call], label: str, seconds: float, alone: bool) -> list[Result]:
        left = self._held_until - trio.current_time()
        if left > 0:
            raise NoAnswer(
                server=self.server,
                method=label,
                failure=Failure.RATE_LIMITED,
                reason=f"the server asked not to be asked for another {left:.1f} s",
                retry_after=left,
            )
        ids = range(self._next_id, self._next_id + len(calls))
        self._next_id = ids.stop
        body = single(ids.start, calls[0]) if alone else batch(ids.start, calls)
        answer: Any = None
        with trio.move_on_after(seconds) as scope:
            answer = await self._line.exchange(body, ids, label)
        if scope.cancelled_caught:
            self._line.unanswered(seconds)
            raise self._failed(label, Failure.TIMEOUT, f"no answer within {seconds:g} s")
        try:
            return [result_of(answer, ids.start)] if alone else results_of(answer, ids.start, len(calls))
        except Unusable as error:
            raise self._failed(label, Failure.MALFORMED, str(error)) from error

    def _failed(self, method: str, failure: Failure, reason: str) -> NoAnswer:
        return NoAnswer(server=self.server, method=method, failure=failure, reason=reason)

    def _report(self, methods: Mapping[str, int], started: float, outcome: str) -> None:
        if self._emit is None:
            return
        seconds = trio.current_time() - started
        for method, count in methods.items():
            self._emit(
                RequestAnswered(
                    part=self._part, server=self.server, method=method, seconds=seconds, outcome=outcome, count=count
                )
            )


@asynccontextmanager
async def open_client(
    url: str,
    *,
    part: str,
    emit: Callable[[Event], None] | None = None,
    headers: Callable[[], Mapping[str, str]] | None = None,
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109  # of each request, not of opening
    connections: int = DEFAULT_CONNECTIONS,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> AsyncIterator[Client]:
    """A client of the server at `url` (http, https, ws or wss); nothing is sent before the first call.

    `part` names who asks in the events that go to `emit`. `headers` is called for each HTTP request, and for each
    connection of a WebSocket: what it returns is added (a token that expires, say). `timeout` in seconds. Raises
    `ConfigError` for a URL that is none; no message ever repeats what the URL may keep secret.
    """
    address = ServerAddress.parse(url)
    # Both are slow to import: only who opens a connection pays.
    if address.pushes:
        from kroma_core.jsonrpc.over_websocket import websocket_line

        async with websocket_line(address, headers=headers, max_bytes=max_bytes) as websocket:
            yield Client(websocket, address, part=part, emit=emit, timeout=timeout)
    else:
        from kroma_core.jsonrpc.over_http import http_line

        async with http_line(address, headers=headers, connections=connections, max_bytes=max_bytes) as http:
            yield Client(http, address, part=part, emit=emit, timeout=timeout)
