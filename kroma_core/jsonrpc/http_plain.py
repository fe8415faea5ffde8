"""HTTP/1.1 over TCP: one send for a request, as few waits as its answer takes.

Four calls of the Engine API make a block, so what a call costs here decides how fast a node catches up: a general HTTP
client takes several times as long as the engine's answer does. Connections over TLS are left to one (`http_secure`).
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import trio

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import HttpAnswer, NoHttpAnswer
from kroma_core.jsonrpc.http_reading import AnswerReader, request_text

_CHUNK: Final = 64 * 1024
_LARGE_CHUNK: Final = 1024 * 1024
_VISIBLE: Final = "".join(chr(code) for code in range(0x21, 0x7F))
"""What a request's target may hold; anything else is sent percent-encoded."""


class PlainConnections:
    """Connections to one server, kept for further requests; at most `most_connections`, for more requests to wait."""

    def __init__(self, address: ServerAddress, *, most_connections: int) -> None:
        self._address = address
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._fixed = {"host": host if address.port == 80 else f"{host}:{address.port}", "user-agent": "kroma"}
        if address.authorization is not None:
            self._fixed["authorization"] = address.authorization
        self._slots = trio.Semaphore(most_connections)
        self._idle: deque[socket.socket] = deque()
        """Connections that wait for a request, the one used last at the end."""
        self._lost = False

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, most: int
    ) -> HttpAnswer:
        """See `HttpRequests`."""
        text = request_text(method, quote(target, safe=_VISIBLE), {**self._fixed, **headers}, body)
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return await self._exchanged(text, most)
        finally:
            self._slots.release()

    def notice_lost(self) -> bool:
        """Whether the server has closed a kept connection since this was asked last."""
        kept = deque(one for one in self._idle if _is_open(one))
        for one in self._idle:
            if one not in kept:
                _close(one)
        lost, self._lost = self._lost or len(kept) < len(self._idle), False
        self._idle = kept
        return lost

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            _close(self._idle.pop())

    async def _exchanged(self, text: bytes, most: int) -> HttpAnswer:
        connection = self._kept() or await self._opened()
        reader = AnswerReader(most)
        try:
            await _send(connection, text)
            while not await _received(connection, reader):
                pass
            answer = reader.answer
        except OSError as error:
            _close(connection)
            raise _unreachable("the connection broke", error) from error
        except BaseException:
            _close(connection)  # also where the caller was cancelled: the rest of the answer is nobody's
            raise
        if reader.keeps_open:
            self._idle.append(connection)
        else:
            _close(connection)
        return answer

    def _kept(self) -> socket.socket | None:
        """A connection that is open still. Servers close those that lie idle; then nothing is sent on them."""
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
            self._lost = True
            _close(connection)
        return None

    async def _opened(self) -> socket.socket:
        try:
            stream = await trio.open_tcp_stream(self._address.host, self._address.port)
        except OSError as error:
            raise _unreachable(f"cannot connect to {self._address.host}:{self._address.port}", error) from error
        # A bare socket: trio's own wrappers wait once more for each call. Its options stay.
        connection = socket.socket(fileno=stream.socket.detach())
        connection.setblocking(False)
        return connection


async def _send(connection: socket.socket, text: bytes) -> None:
    """Send all of a request. Where the server stops reading, its answer may be there all the same (413, say)."""
    left = memoryview(text)
    while True:
        try:
            sent = connection.send(left)
        except BlockingIOError:
            sent = 0
        except OSError:
            if len(left) == len(text):
                raise
            return
        if sent == len(left):
            return
        left = left[sent:]
        await trio.lowlevel.wait_writable(connection)


async def _received(connection: socket.socket, reader: AnswerReader) -> bool:
    """Wait for more of an answer; whether it is whole."""
    await trio.lowlevel.wait_readable(connection)
    try:
        data = connection.recv(_LARGE_CHUNK if reader.begun else _CHUNK)
    except BlockingIOError:
        return False
    if data:
        return reader.take(data)
    reader.end()
    return True


def _is_open(connection: socket.socket) -> bool:
    """Whether the server has neither closed a connection nor sent what nobody asked for."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _close(connection: socket.socket) -> None:
    trio.lowlevel.notify_closing(connection)
    connection.close()


def _unreachable(what: str, error: OSError) -> NoHttpAnswer:
    cause = error.__cause__
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else (cause or error,)
    return NoHttpAnswer(Failure.UNREACHABLE, f"{what} ({'; '.join(dict.fromkeys(map(_reason, causes)))})")


def _reason(error: BaseException) -> str:
    number = getattr(error, "errno", None) or 0
    if number > 0:
        return os.strerror(number)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__  # of name look-ups, say


@asynccontextmanager
async def plain_connections(address: ServerAddress, *, most_connections: int) -> AsyncIterator[PlainConnections]:
    """Connections to the server of an http URL, made when they are first needed."""
    connections = PlainConnections(address, most_connections=most_connections)
    try:
        yield connections
    finally:
        connections.close()
