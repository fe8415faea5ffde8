"""A verifier that follows its L1 in the background, and parts that stop answering when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from kroma_core.events import Event, UnsafePayload
from kroma_core.l2 import Payload
from tests.actions.actors import Verifier


@asynccontextmanager
async def running(verifier: Verifier) -> AsyncIterator[Verifier]:
    """The verifier's driver at work; at rest when the body begins."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(verifier.driver.run)
        await rest()
        yield verifier
        nursery.cancel_scope.cancel()


async def rest() -> None:
    """Wait until nobody can do anything more without something new, or time passing."""
    await trio.testing.wait_all_tasks_blocked()


async def submit(verifier: Verifier, *payloads: Payload) -> None:
    for payload in payloads:
        await verifier.driver.submit_unsafe(payload, "test")
    await rest()


def outcomes(verifier: Verifier) -> list[tuple[int, str]]:
    """Number and fate of every unsafe block, as observers were told."""
    return [(event.block.number, event.outcome) for event in of(verifier.events, UnsafePayload)]


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


class Holding:
    """A part whose methods hang while they are held."""

    def __init__(self, part: object) -> None:
        self._part = part
        self._released: dict[str, trio.Event] = {}
        self.hanging: list[str] = []
        """Methods that were asked and hang."""

    def hold(self, *methods: str) -> None:
        for method in methods:
            self._released[method] = trio.Event()

    def release(self) -> None:
        for released in self._released.values():
            released.set()
        self._released.clear()

    def __getattr__(self, method: str) -> Any:
        inner = getattr(self._part, method)
        if method == "subscribe":
            return inner

        async def call(*arguments: Any) -> Any:
            if method in self._released:
                self.hanging.append(method)
                await self._released[method].wait()
            return await inner(*arguments)

        return call
