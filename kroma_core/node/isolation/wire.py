"""Messages over one end of a socket pair. What is sent is sent whole, whatever becomes of the sender."""

from __future__ import annotations

import math
import pickle
import socket
from collections.abc import AsyncGenerator
from typing import Any

import trio

from kroma_core.node.isolation.messages import LENGTH, packed

_CHUNK = 1 << 18


class Wire:
    """One end. `pump` has to run for anything to be sent."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        self._outgoing, self._waiting = trio.open_memory_channel[bytes](math.inf)

    def send(self, message: Any) -> None:
        """Send a message after those before it; never waits. To an end that is gone nothing is sent."""
        self.send_packed(packed(message))

    def send_packed(self, data: bytes) -> None:
        """Send what `packed` made of a message."""
        try:
            self._outgoing.send_nowait(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def end(self) -> None:
        """Nothing more is sent: `pump` returns once everything is."""
        self._outgoing.close()

    async def pump(self) -> None:
        """Send what is to be sent, until `end` or until the other side is gone."""
        with self._waiting:
            try:
                async for data in self._waiting:
                    await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def messages(self) -> AsyncGenerator[Any, None]:
        """What comes in, until the other side ends; part of a message at the end is nothing."""
        buffer = bytearray()
        while True:
            while len(buffer) >= LENGTH.size:
                (size,) = LENGTH.unpack_from(buffer)
                if len(buffer) - LENGTH.size < size:
                    break
                message = pickle.loads(bytes(buffer[LENGTH.size : LENGTH.size + size]))
                del buffer[: LENGTH.size + size]
                yield message
            try:
                data = await self._stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            buffer += data

    def close(self) -> None:
        """Close this end at once."""
        self._outgoing.close()
        self._stream.socket.close()
