"""Three nodes in a line, alice - bob - carol, for the suite of role `p2p`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs
import trio

from kroma_core.api import Message, Transport
from kroma_core.errors import TemporaryError


@attrs.frozen(kw_only=True)
class Line:
    """What alice and carol send each other goes through bob."""

    alice: Transport
    bob: Transport
    carol: Transport


class AtLine(ABC):
    """What a maker says of its transport, and how the tests use it."""

    topics: tuple[str, ...] = ("/optimism/901/0/blocks", "/optimism/901/1/blocks")
    """At least two topics that every node of the maker takes part in."""
    verdict_seconds: float | None = None
    """How long after a message came a verdict on it counts; None: there is no such end."""
    quiet = 1.0
    """Seconds after which a message that has not come will not come."""
    patience = 60.0
    """Seconds after which a test fails that waits for a message."""
    largest = 1 << 20
    """Bytes of the largest message that has to come."""
    many = 200
    """Messages, each way, that may wait for their verdicts at once."""

    @abstractmethod
    def open_peer(self, folder: Path, peers: Sequence[Transport]) -> AbstractAsyncContextManager[Transport]:
        """A node that is connected with those `peers`, which this method has made, and with nobody else.

        Yields when messages can go both ways. `folder` is for all nodes of a test.
        """

    def clock(self) -> trio.abc.Clock | None:
        """The clock of the tests; a transport without sockets can do with `trio.testing.MockClock`."""
        return None

    def run(self, body: Callable[[Line], Awaitable[None]], folder: Path) -> None:
        async def main() -> None:
            with trio.fail_after(3 * self.patience):
                async with (
                    self.open_peer(folder, ()) as bob,
                    self.open_peer(folder, (bob,)) as alice,
                    self.open_peer(folder, (bob,)) as carol,
                ):
                    await body(Line(alice=alice, bob=bob, carol=carol))

        trio.run(main, clock=self.clock())

    async def comes(self, node: Transport, data: bytes, topic: str | None = None) -> Message:
        """The next message, which has to be this one."""
        with trio.move_on_after(self.patience):
            message = await node.next_message()
            assert message.data == data, f"expected {_shown(data)}, got {_shown(message.data)}"
            assert topic in (None, message.topic), f"expected topic {topic}, got {message.topic}"
            return message
        raise AssertionError(f"{_shown(data)} has not come within {self.patience} s")

    async def nothing_comes(self, node: Transport) -> None:
        """For as long as it takes to be sure."""
        with trio.move_on_after(self.quiet):
            message = await node.next_message()
            raise AssertionError(f"expected no message, got {_shown(message.data)} from {message.sender}")

    async def published(self, node: Transport, data: bytes) -> None:
        """Publish what may have been published before: a transport may call that an error."""
        try:
            await node.publish(self.topics[0], data)
        except TemporaryError:
            await trio.lowlevel.checkpoint()


def _shown(data: bytes) -> str:
    return f"{data!r}" if len(data) <= 40 else f"{data[:16]!r}... ({len(data)} bytes)"
