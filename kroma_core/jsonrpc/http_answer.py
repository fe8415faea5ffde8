"""What a server says to an HTTP request, whichever way it was sent, and why there may be nothing.

Spec: RFC 9110.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import attrs

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.errors import Failure, NoAnswer

Headers = Callable[[], Mapping[str, str]]
"""What is added to each request: a token that expires, say."""

OK: Final = 200
RATE_LIMITED: Final = 429
EXCERPT: Final = 1024
"""Bytes that are read of an answer with another status than 200."""
LONGEST_WAIT: Final = 300.0
"""Seconds of a Retry-After that are believed."""
DEFAULT_WAIT: Final = 1.0
"""Seconds to wait where a server limits the rate and does not say for how long."""


@attrs.frozen(kw_only=True)
class HttpAnswer:
    """An answer. `headers` are by name in lower case; `body` is decompressed, and only its beginning where the status
    is not 200."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


class NoHttpAnswer(Exception):
    """There is none, or not a proper one: the connection failed, or what came breaks HTTP's rules or the limits."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure, self.reason = failure, reason


class HttpRequests(Protocol):
    """Connections to one server. Any number of tasks may ask at once; cancelling one leaves the others alone."""

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, most: int
    ) -> HttpAnswer:
        """The answer, whose body has at most `most` bytes. Raises `NoHttpAnswer`. Nothing is ever sent twice."""
        ...

    def notice_lost(self) -> bool:
        """Whether the server has closed a kept connection since this was asked last, as far as that is known."""
        ...


def too_large(most: int) -> NoHttpAnswer:
    """The error for an answer of more than `most` bytes."""
    return NoHttpAnswer(Failure.TOO_LARGE, f"expected an answer of at most {most} bytes, got more")


def refusal(answer: HttpAnswer, address: ServerAddress, method: str) -> NoAnswer:
    """What an answer with another status than 200 means to who asked for `method`."""
    status, limited = answer.status, answer.status == RATE_LIMITED
    said = address.censored(answer.body.decode(errors="replace"))
    wait = retry_after(answer.headers.get("retry-after"), time.time())
    return NoAnswer(
        server=address.name,
        method=method,
        failure=Failure.RATE_LIMITED if limited else Failure.STATUS,
        reason=f"expected HTTP status 200, got {status}{f': {said}' if said else ''}",
        status=status,
        retry_after=DEFAULT_WAIT if limited and wait is None else wait,
    )


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date. Spec: RFC 9110, "Retry-After"."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(date.timestamp() - now, 0.0), LONGEST_WAIT)
