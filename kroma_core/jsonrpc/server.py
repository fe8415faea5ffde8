"""A small HTTP server for JSON-RPC, its WebSocket form and a table of routes, on h11 and wsproto under trio.

    POST /            JSON-RPC
    GET /             200, or a WebSocket where `websocket` is on
    other paths       `routes`

What a client sends or omits to send costs the node no more than `Limits` allow and ends no more than its connection.
Browsers: a request whose `Host` is a name not in `hosts`, or whose `Origin` is not in `origins`, is refused, so that a
page on the web cannot speak to a node on the same machine. Numeric hosts pass, as with geth's `--http.vhosts`.
"""

from __future__ import annotations

import errno
import itertools
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from kroma_core.errors import ConfigError
from kroma_core.jsonrpc.held import HeldBytes
from kroma_core.jsonrpc.http import HttpServer, Request, Response, Route
from kroma_core.jsonrpc.http_connection import HttpConnection
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.processing import Processor

__all__ = ["Address", "HttpServer", "Request", "Response", "Route", "serve_http"]

Address = tuple[str, int]


async def serve_http(
    server: HttpServer,
    *,
    host: str,
    port: int,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; `task_status` gets the address in use, which tells the port where `port` was 0.

    Cancellation closes the port and every connection at once. Raises `ConfigError` where the port cannot be had.
    """
    listeners = await _listen(server.table, host, port)
    serving = _Serving(server)
    async with trio.open_nursery() as nursery:
        task_status.started(listeners[0].socket.getsockname()[:2])
        nursery.start_soon(trio.serve_listeners, serving.connection, listeners)


async def _listen(table: str, host: str, port: int) -> list[trio.SocketListener]:
    try:
        first, *others = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ConfigError(f"[{table}] port: cannot listen on {host}:{port}: {reason}") from error
    if port == 0:  # a name with two addresses would get two ports
        for listener in others:
            await listener.aclose()
        return [first]
    return [first, *others]


class _Serving:
    """The connections of one server."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.processor = Processor(
            methods=server.methods or Methods(), server=server.table, limits=server.limits, emit=server.emit
        )
        self.slots = trio.Semaphore(server.limits.concurrent)
        self.held = HeldBytes(server.limits.held)
        self._names = itertools.count()
        self._idle: OrderedDict[int, trio.CancelScope] = OrderedDict()
        self._open = 0

    async def connection(self, stream: trio.SocketStream) -> None:
        """Serve one client to its end."""
        if self._open >= self.server.limits.connections:
            if not self._idle:
                await trio.aclose_forcefully(stream)
                return
            self._idle.popitem(last=False)[1].cancel()
        self._open += 1
        try:
            with self.held.share() as share:
                await HttpConnection(stream, self.server, self.processor, self.slots, self._waiting, share).run()
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)

    @contextmanager
    def _waiting(self) -> Iterator[trio.CancelScope]:
        """Around the wait for a request, or its rest, during which the connection may have to give place to another."""
        name = next(self._names)
        with trio.CancelScope() as scope:
            self._idle[name] = scope
            try:
                yield scope
            finally:
                self._idle.pop(name, None)
