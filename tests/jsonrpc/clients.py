"""A server on a loopback socket, and clients as rude as a test needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import orjson
import trio
import trio.testing

from kroma_core.events import Event
from kroma_core.jsonrpc.connection import Connection
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import HttpServer, serve_http

JSON = {"content-type": "application/json"}


def methods() -> Methods:
    """Some methods to call."""
    found = Methods()

    async def echo(value: Any, second: Any = None) -> Any:
        return [value, second]

    async def encoded() -> bytes:
        return b'{"ready":"made"}'

    async def broken() -> Any:
        return {}["no such key"]

    async def refused() -> Any:
        raise RpcError(Code.UNKNOWN_PAYLOAD, "no such payload", {"id": 1})

    async def stuck() -> Any:
        await trio.sleep_forever()

    async def large() -> Any:
        return "x" * 1000

    async def count(upto: int, *, connection: Connection | None) -> str:
        if connection is None:
            raise RpcError(Code.METHOD_NOT_FOUND, "subscriptions need a WebSocket")

        async def tell() -> None:
            for number in range(upto):
                connection.notify("test_counted", {"number": number})

        connection.start_soon(tell)
        return "0x1"

    async def flood(size: int, *, connection: Connection) -> str:
        async def tell() -> None:
            while True:
                connection.notify("test_flood", "x" * size)
                await trio.lowlevel.checkpoint()

        connection.start_soon(tell)
        return "0x2"

    async def faulty(*, connection: Connection) -> str:
        async def tell() -> None:
            raise KeyError("a mistake")

        connection.start_soon(tell)
        return "0x3"

    found.add_namespace(
        "test",
        {
            "echo": echo,
            "encoded": encoded,
            "broken": broken,
            "refused": refused,
            "stuck": stuck,
            "large": large,
            "count": count,
            "flood": flood,
            "faulty": faulty,
        },
    )
    return found


class Served:
    """A running server: how to reach it and what it has told its observers."""

    def __init__(self, host: str, port: int, events: list[Event]) -> None:
        self.host, self.port, self.events = host, port, events
        self.url = f"http://{host}:{port}"

    async def raw(self) -> trio.SocketStream:
        """A connection on which a test may send what it likes."""
        return await trio.open_tcp_stream(self.host, self.port)

    async def exchange(self, *parts: bytes) -> bytes:
        """Everything the server sends back until it closes the connection."""
        async with await self.raw() as stream:
            for part in parts:
                await stream.send_all(part)
            return await read_all(stream)

    async def post(self, body: bytes | Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return await client.post(self.url, content=content, headers={**JSON, **headers})

    async def call(self, method: str, *params: Any) -> Any:
        return (await self.post(call(method, *params))).json()


def call(method: str, *params: Any, identity: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": list(params)}


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    try:
        while part := await stream.receive_some():
            data += part
    except trio.BrokenResourceError:
        pass
    return data


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Served]:
    """A server with the sample methods, on any free port of 127.0.0.1."""
    events: list[Event] = []
    server = HttpServer(**{"table": "rpc", "methods": methods(), "emit": events.append, **settings})
    async with trio.open_nursery() as nursery:
        host, port = await nursery.start(partial(serve_http, server, host="127.0.0.1", port=0))
        yield Served(host, port, events)
        nursery.cancel_scope.cancel()


def with_server(check: Callable[[Served], Awaitable[Any]], *, patient: bool = True, **settings: Any) -> Any:
    """The result of `check` on a server; where it is not `patient`, time passes while all are waiting."""

    async def main() -> Any:
        async with served(**settings) as server:
            return await check(server)

    if patient:
        return trio.run(main)
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.05))
