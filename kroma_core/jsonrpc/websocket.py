"""JSON-RPC over a WebSocket: several messages at a time, and messages that nobody asked for.

Spec: RFC 6455; JSON-RPC 2.0.
"""

from __future__ import annotations

import math

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Message,
    Ping,
    TextMessage,
)
from wsproto.events import Event as WebSocketEvent
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from kroma_core.jsonrpc.connection import Connection, Task
from kroma_core.jsonrpc.held import Share
from kroma_core.jsonrpc.limits import Limits
from kroma_core.jsonrpc.processing import Broken, Processor, contained

CHUNK = 64 * 1024
AT_ONCE = 16
"""Messages of one client that are worked on at the same time."""
PING_SECONDS = 30
FAREWELL_SECONDS = 1
SILENT_SECONDS = 90
"""A client that sends nothing for so long, not even the answer to a ping, has gone."""


async def serve_websocket(
    stream: trio.SocketStream,
    head: h11.Request,
    early: bytes,
    processor: Processor,
    slots: trio.Semaphore,
    limits: Limits,
    share: Share,
) -> None:
    """Serve a client that asked for a WebSocket with `head`; `early` is what it has already sent after that."""
    socket = WSConnection(ConnectionType.SERVER)
    try:
        socket.initiate_upgrade_connection([(bytes(name), bytes(value)) for name, value in head.headers], head.target)
        list(socket.events())
        accepted = socket.send(AcceptConnection())
    except (RemoteProtocolError, UnicodeError) as error:
        raise h11.RemoteProtocolError(f"WebSocket: {error}") from error
    async with trio.open_nursery() as nursery:
        await _Client(stream, socket, processor, slots, limits, nursery, share).run(accepted, early)
        nursery.cancel_scope.cancel()


class _Client:
    """One client: a reader, a writer behind a queue, and the tasks that its messages have begun."""

    def __init__(
        self,
        stream: trio.SocketStream,
        socket: WSConnection,
        processor: Processor,
        slots: trio.Semaphore,
        limits: Limits,
        nursery: trio.Nursery,
        share: Share,
    ) -> None:
        self._stream, self._socket, self._nursery = stream, socket, nursery
        self._processor, self._slots, self._limits = processor, slots, limits
        self._subscriptions: dict[str, trio.CancelScope] = {}
        self._into_queue, self._queue = trio.open_memory_channel[bytes](math.inf)
        self._unsent, self._share = 0, share
        self._own_slots = trio.Semaphore(AT_ONCE)
        self._written = trio.Event()

    def post(self, message: bytes) -> None:
        self._say(TextMessage(data=message.decode(errors="replace")))

    def begin(self, task: Task) -> None:
        self._nursery.start_soon(self._run_task, task)

    async def run(self, accepted: bytes, early: bytes) -> None:
        """Serve until either side ends it."""
        self._put(accepted)
        self._nursery.start_soon(self._write)
        self._nursery.start_soon(self._ping)
        try:
            await self._read(early)
        except RemoteProtocolError as error:
            hint = error.event_hint
            self._say(hint if isinstance(hint, CloseConnection) else CloseConnection(code=CloseReason.PROTOCOL_ERROR))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self._into_queue.close()
        with trio.move_on_after(FAREWELL_SECONDS):
            await self._written.wait()

    async def _read(self, early: bytes) -> None:
        """Read messages until the client closes, breaks a rule or falls silent."""
        data, parts, size = early, [], 0
        while True:
            if data:
                self._socket.receive_data(data)
            for event in self._socket.events():
                match event:
                    case Message(data=found, message_finished=finished):
                        part = found.encode() if isinstance(found, str) else bytes(found)
                        size += len(part)
                        if size > self._limits.body:
                            self._say(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG, reason="message too large"))
                            return
                        parts.append(part)
                        self._share.add(len(part))
                        if finished:
                            await self._own_slots.acquire()
                            self._nursery.start_soon(self._answer, b"".join(parts))
                            parts, size = [], 0
                    case Ping():
                        self._say(event.response())
                    case CloseConnection():
                        self._say(event.response())
                        return
            with trio.move_on_after(SILENT_SECONDS) as scope:
                data = bytes(await self._stream.receive_some(CHUNK))
            if scope.cancelled_caught or not data:
                return

    async def _answer(self, message: bytes) -> None:
        connection = Connection(peer=self, subscriptions=self._subscriptions)
        try:
            async with self._slots:
                answer = await self._processor.answer(message, connection)
            if answer is not None:
                self.post(answer)
            connection.release()
        finally:
            self._share.release(len(message))
            self._own_slots.release()

    async def _run_task(self, task: Task) -> None:
        began = trio.current_time()
        result = await contained("a subscription", task)
        if isinstance(result, Broken):
            self._processor.report("subscription", trio.current_time() - began, result)

    def _say(self, event: WebSocketEvent) -> None:
        """Queue an event; nothing follows once the connection is closing."""
        try:
            self._put(self._socket.send(event))
        except LocalProtocolError:
            return

    def _put(self, data: bytes) -> None:
        if self._unsent > self._limits.unsent:
            self._nursery.cancel_scope.cancel()
            return
        self._unsent += len(data)
        self._share.add(len(data))
        try:
            self._into_queue.send_nowait(data)
        except trio.ClosedResourceError:
            return

    async def _write(self) -> None:
        try:
            async for data in self._queue:
                with trio.move_on_after(self._limits.send_seconds) as scope:
                    await self._stream.send_all(data)
                if scope.cancelled_caught:
                    break
                self._unsent -= len(data)
                self._share.release(len(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        else:
            self._written.set()
            if self._into_queue.statistics().open_send_channels == 0:
                return
        self._nursery.cancel_scope.cancel()

    async def _ping(self) -> None:
        while True:
            await trio.sleep(PING_SECONDS)
            self._say(Ping())
