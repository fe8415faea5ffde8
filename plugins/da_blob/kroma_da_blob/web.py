"""GET requests to one server of blobs, with limits to time and size; what it says is a value, silence is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import orjson
import trio

from kroma_core.events import Event, RequestAnswered
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.jsonrpc.http_answer import OK, HttpRequests, NoHttpAnswer, refusal
from kroma_core.jsonrpc.over_http import http_requests

MAX_BYTES: Final = 64 << 20
"""Bytes of an answer: about 240 blobs in hexadecimal, ten times what a block holds."""
ABSENT: Final = frozenset({404, 410})
"""Statuses that say: there is no such thing here (any more)."""
UNSERVED: Final = frozenset({400, 405, 406, 415, 501})
"""Statuses that say: not asked like this. They tell nothing of what the server has."""
_CONNECTIONS: Final = 16


@attrs.frozen(kw_only=True)
class Answer:
    """What a server said. `status` is 200 or one of `ABSENT` and `UNSERVED`."""

    status: int
    body: bytes = attrs.field(repr=False)
    content_type: str
    said: str
    """The beginning of the body of a refusal, fit for a message."""


class BlobServer:
    """One server, named in messages by scheme, host and port alone."""

    def __init__(
        self,
        requests: HttpRequests,
        address: ServerAddress,
        *,
        headers: Mapping[str, str],
        part: str,
        emit: Callable[[Event], None],
        seconds: float,
    ) -> None:
        self._requests, self._address, self._headers, self._part = requests, address, headers, part
        self._emit, self._seconds = emit, seconds
        self._held_until = 0.0

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def target(self) -> str:
        """Path and query of the URL that the server was opened with. Not for messages."""
        return self._address.target

    async def get(self, path: str, query: Sequence[tuple[str, str]] = (), *, what: str) -> Answer:
        """The answer to a GET of `path`, which may have a query of its own; `what` names the request in messages.

        Raises `NoAnswer`: no connection, no whole answer in time, another status, too many bytes.
        """
        started = trio.current_time()
        try:
            answer = await self._exchanged(path, query, what)
        except NoAnswer as error:
            if error.retry_after is not None:
                self._held_until = max(self._held_until, trio.current_time() + error.retry_after)
            self._report(what, started, str(error.failure))
            raise
        self._report(what, started, "ok" if answer.status == OK else f"status {answer.status}")
        return answer

    async def get_json(self, path: str, query: Sequence[tuple[str, str]] = (), *, what: str) -> tuple[Answer, Any]:
        """The same with the JSON value of the body; None where the status is not 200."""
        answer = await self.get(path, query, what=what)
        return answer, (self.json(answer, what) if answer.status == OK else None)

    def json(self, answer: Answer, what: str) -> Any:
        """The JSON value of an answer. Raises `NoAnswer`."""
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise self.failed(
                what, Failure.MALFORMED, f"expected JSON, got {len(answer.body)} bytes that are not ({error})"
            ) from error

    def failed(self, what: str, failure: Failure, reason: str, status: int | None = None) -> NoAnswer:
        """The error that says so; the caller raises it."""
        return NoAnswer(server=self.name, method=what, failure=failure, reason=reason, status=status)

    async def _exchanged(self, path: str, query: Sequence[tuple[str, str]], what: str) -> Answer:
        left = self._held_until - trio.current_time()
        if left > 0:
            reason = f"the server asked not to be asked for another {left:.1f} s"
            raise self.failed(what, Failure.RATE_LIMITED, reason)
        with trio.move_on_after(self._seconds):
            return await self._received(path, query, what)
        raise self.failed(what, Failure.TIMEOUT, f"expected a whole answer within {self._seconds:g} s, got none")

    async def _received(self, path: str, query: Sequence[tuple[str, str]], what: str) -> Answer:
        try:
            found = await self._requests.request("GET", _target(path, query), self._headers, most=MAX_BYTES)
        except NoHttpAnswer as error:
            raise self.failed(what, error.failure, self._address.censored(error.reason)) from error
        said = ""
        if found.status != OK:
            if found.status not in ABSENT | UNSERVED:
                raise refusal(found, self._address, what)
            said = self._address.censored(found.body.decode(errors="replace"))
        content_type = found.headers.get("content-type", "").lower()
        return Answer(status=found.status, body=found.body, content_type=content_type, said=said)

    def _report(self, what: str, started: float, outcome: str) -> None:
        seconds = trio.current_time() - started
        self._emit(
            RequestAnswered(part=self._part, server=self.name, method=what, seconds=seconds, outcome=outcome, count=1)
        )


@asynccontextmanager
async def open_server(
    url: str,
    *,
    part: str,
    emit: Callable[[Event], None],
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[BlobServer]:
    """The server of `url`; a request takes at most `seconds`. Nothing is sent before it is asked.

    Raises `ConfigError` for what is no URL.
    """
    address = ServerAddress.parse(url)
    fixed = {"accept": "application/json", **(headers or {})}
    async with http_requests(address, most_connections=_CONNECTIONS) as requests:
        yield BlobServer(requests, address, headers=fixed, part=part, emit=emit, seconds=seconds)


def _target(path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
