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
        """Send a message to the peers of `topic`. Raises `TemporaryError` without peers.

        The same data on the same topic are one message: peers that have seen it are not told again.
        """
        ...

    async def next_message(self) -> Message:
        """The next message that waits for a verdict, of those that peers sent: never one that was published here.

        A call that is given up loses no message.
        """
        ...

    async def verdict(self, message: Message, verdict: MessageVerdict) -> None:
        """Answer for a message: accepted, it is passed on to the other peers, and not before.

        An answer that comes too late, a second one, and one for a message that is not known are ignored.
        """
        ...
