"""All calls of one engine, one after the other, each carried to its end also when its caller has gone.

A client that gives up after some seconds asks again: its block has to be done by then, not begun anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
import trio

from kroma_core.errors import CriticalError, KromaError, TemporaryError

T = TypeVar("T")


@attrs.define
class _Call:
    body: Callable[[], Awaitable[Any]]
    done: trio.Event = attrs.field(factory=trio.Event)
    result: Any = None
    error: KromaError | None = attrs.field(factory=lambda: TemporaryError("the engine's call was not finished"))


class Writes:
    """Runs what `do` is given while `run` runs."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_Call](0)

    async def do(self, body: Callable[[], Awaitable[T]]) -> T:
        """What `body` returns or raises. Cancelled before its turn it never happens; afterwards it goes on."""
        call = _Call(body)
        await self._send.send(call)
        await call.done.wait()
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    async def run(self) -> None:
        """Take the calls in the order in which they come. A `CriticalError` of one ends this too."""
        async for call in self._receive:
            try:
                call.result, call.error = await call.body(), None
            except KromaError as error:
                call.error = error
                if isinstance(error, CriticalError):
                    raise
            finally:
                call.done.set()
