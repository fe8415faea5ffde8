"""Giving up a call in the middle, at every place where it can be given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

STEPS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233)
"""After so many turns of the event loop a call is given up."""


@attrs.frozen
class Done:
    """The call ended by itself."""

    result: Any


@attrs.frozen
class GivenUp:
    """The call was cancelled."""


async def given_up_after(steps: int, call: Callable[[], Awaitable[Any]]) -> Done | GivenUp:
    """Call, and cancel after so many turns of the event loop. Errors of the call come through."""
    outcome: Done | GivenUp = GivenUp()
    scope = trio.CancelScope()

    async def watch() -> None:
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        if steps:
            nursery.start_soon(watch)
        else:
            scope.cancel()  # takes effect at the first place where it can
        with scope:
            outcome = Done(await call())
        nursery.cancel_scope.cancel()
    return outcome
