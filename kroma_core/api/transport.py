"""Role `p2p` (provisional): carries unsafe blocks between nodes. Core validates, a transport only carries."""

from __future__ import annotations

import enum
from typing import Protocol

import attrs


class MessageVerdict(enum.Enum):
    """What core thinks of a gossiped message."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    REJECT = "reject"


@attrs.frozen(kw_only=True)
class Message:
    """A gossiped message as it came, before validation. `id` is the transport's own."""

    id: bytes
    topic: str
    data: bytes = attrs.field(repr=False)
    sender: str


class Transport(Protocol):
    """Gossip of L2 blocks. Spec: rollup-node-p2p.md, "Gossip Topics"."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send a message to the peers of `topic`. Raises `TemporaryError` without peers."""
        ...

    async def next_message(self) -> Message:
        """The next message that waits for a verdict."""
        ...

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        """Answer for a message; too late an answer is ignored by the transport."""
        ...
