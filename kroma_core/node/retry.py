"""Trying a call again that failed for a passing reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from kroma_core.errors import KromaError, TemporaryError
from kroma_core.events import Asked, Event, Retrying, Trouble

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Back-off between attempts: `first` seconds, doubling up to `longest`; `attempts` None means for ever."""

    first: float = 0.25
    longest: float = 30.0
    attempts: int | None = None

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the failure of an attempt; the first is 1."""
        return min(self.first * float(1 << min(attempt - 1, 16)), self.longest)

    def is_last(self, attempt: int) -> bool:
        """Whether no further attempt follows this one."""
        return self.attempts is not None and attempt >= self.attempts


IMPATIENT = RetryPolicy(first=0.01, longest=0.05, attempts=3)
"""For recordings: what they do not answer now they never will."""


@attrs.frozen(kw_only=True)
class Retrier:
    """Tries again in the name of one part, and tells observers of it."""

    part: str
    policy: RetryPolicy
    emit: Callable[[Event], None]

    async def __call__(self, call: Callable[[], Awaitable[T]], what: str, asked: Asked = Asked.OTHER) -> T:
        """Await `call()` until it does not raise `TemporaryError`; raises that when no attempt is left."""
        return await retrying(call, part=self.part, what=what, policy=self.policy, emit=self.emit, asked=asked)


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    part: str,
    what: str,
    policy: RetryPolicy,
    emit: Callable[[Event], None],
    asked: Asked = Asked.OTHER,
) -> T:
    """Await `call()` until it does not raise `TemporaryError`; raises that when the policy's attempts are used up."""
    attempt = 1
    while True:
        try:
            return await call()
        except TemporaryError as error:
            if policy.is_last(attempt):
                raise
            delay = policy.delay(attempt)
            emit(tried_again(error, part=part, what=what, attempt=attempt, delay=delay, asked=asked))
        await trio.sleep(delay)
        attempt += 1


def tried_again(error: KromaError, *, part: str, what: str, attempt: int, delay: float, asked: Asked) -> Retrying:
    """The event that tells of it."""
    return Retrying(
        part=part,
        what=what,
        error=str(error),
        attempt=attempt,
        delay=delay,
        asked=asked,
        trouble=Trouble.of(error),
    )
