"""Trying a call again that failed for a passing reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from kroma_core.errors import TemporaryError
from kroma_core.events import Event, Retrying

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Back-off between attempts: `first` seconds, doubling up to `longest`; `attempts` None means for ever."""

    first: float = 0.25
    longest: float = 30.0
    attempts: int | None = None


IMPATIENT = RetryPolicy(first=0.01, longest=0.05, attempts=3)
"""For recordings: what they do not answer now they never will."""


async def retrying(
    call: Callable[[], Awaitable[T]], *, part: str, what: str, policy: RetryPolicy, emit: Callable[[Event], None]
) -> T:
    """Await `call()` until it does not raise `TemporaryError`; raises that when the policy's attempts are used up."""
    delay = policy.first
    attempt = 1
    while True:
        try:
            return await call()
        except TemporaryError as error:
            if policy.attempts is not None and attempt >= policy.attempts:
                raise
            emit(Retrying(part=part, what=what, error=str(error), attempt=attempt, delay=delay))
        await trio.sleep(delay)
        attempt += 1
        delay = min(delay * 2, policy.longest)
