"""A transport between nodes of one process: the first implementation of role `p2p`, and its measure.

async with loopback("alice") as alice, loopback("bob", [alice]) as bob:
    await alice.publish(topic, data)
    message = await bob.next_message()
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from kroma_core.api import Message, MessageVerdict
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import TemporaryError

VERDICT_SECONDS = 5.0
"""A verdict that takes longer is ignored."""
CAPACITY = 1000
"""Messages that wait to be taken; more are lost, as on a network."""


@attrs.define(kw_only=True, eq=False)
class LoopbackTransport:
    """One node's end. Messages go to those it is connected with, and on from there once they are accepted."""

    name: str
    verdict_seconds: float = VERDICT_SECONDS
    _peers: list[LoopbackTransport] = attrs.field(factory=list, init=False)
    _seen: set[bytes] = attrs.field(factory=set, init=False)
    _due: dict[bytes, float] = attrs.field(factory=dict, init=False)
    _arrived: trio.MemorySendChannel[Message] = attrs.field(init=False)
    _to_take: trio.MemoryReceiveChannel[Message] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._arrived, self._to_take = trio.open_memory_channel[Message](math.inf)

    def connect(self, peer: LoopbackTransport) -> None:
        """Both ways."""
        self._peers.append(peer)
        peer._peers.append(self)

    def close(self) -> None:
        """Leave all peers."""
        for peer in self._peers:
            peer._peers.remove(self)
        self._peers.clear()

    async def publish(self, topic: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if not self._peers:
            raise TemporaryError(f"publish {len(data)} bytes on {topic}: {self.name} has no peers")
        message = Message(id=message_id(topic, data), topic=topic, data=data, sender=self.name)
        self._seen.add(message.id)
        self._pass_on(message)

    async def next_message(self) -> Message:
        return await self._to_take.receive()

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        await trio.lowlevel.checkpoint()
        due = self._due.pop(message.id, None)
        if due is not None and trio.current_time() <= due and verdict is MessageVerdict.ACCEPT:
            self._pass_on(attrs.evolve(message, sender=self.name))

    def _pass_on(self, message: Message) -> None:
        for peer in self._peers:
            peer._receive(message)

    def _receive(self, message: Message) -> None:
        if message.id in self._seen or self._arrived.statistics().current_buffer_used >= CAPACITY:
            return
        now = trio.current_time()
        self._seen.add(message.id)
        self._due = {known: due for known, due in self._due.items() if due >= now}
        self._due[message.id] = now + self.verdict_seconds
        self._arrived.send_nowait(message)


def message_id(topic: str, data: bytes) -> bytes:
    """The same for all nodes."""
    return keccak256(len(topic).to_bytes(8, "little") + topic.encode() + data)[:20]


@asynccontextmanager
async def loopback(
    name: str, peers: Sequence[LoopbackTransport] = (), *, verdict_seconds: float = VERDICT_SECONDS
) -> AsyncIterator[LoopbackTransport]:
    """One node's end, connected with `peers`."""
    transport = LoopbackTransport(name=name, verdict_seconds=verdict_seconds)
    for peer in peers:
        transport.connect(peer)
    try:
        yield transport
    finally:
        transport.close()
