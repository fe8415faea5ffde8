"""A client that stays: what a method may tell it after the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import attrs
import orjson
import trio

Task = Callable[[], Awaitable[None]]


class Peer(Protocol):
    """The transport below a connection."""

    def post(self, message: bytes) -> None:
        """Queue a message for the client; a client that lets too much of it pile up is disconnected."""
        ...

    def begin(self, task: Task) -> None:
        """Run a task until it ends or the client has gone."""
        ...


@attrs.frozen(kw_only=True)
class Connection:
    """A WebSocket client, as a method sees it while it answers one message.

    `subscriptions` belongs to the client: the same for all of its messages, by the method's own ids. What it holds is
    cancelled when the client goes, as everything is that was begun with `start_soon`.
    """

    peer: Peer
    subscriptions: dict[str, trio.CancelScope]
    _held: list[Task] = attrs.field(factory=list, init=False)

    def notify(self, method: str, params: Any) -> None:
        """Tell the client something without being asked. Never blocks."""
        self.peer.post(orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def start_soon(self, task: Task) -> None:
        """Begin `task` once the answer to the current message has been queued, so that nothing overtakes it.

        A task that raises ends alone: the error goes to the observers, the client stays.
        """
        self._held.append(task)

    def release(self) -> None:
        """The answer has been queued: what waited for it begins."""
        for task in self._held:
            self.peer.begin(task)
        self._held.clear()
