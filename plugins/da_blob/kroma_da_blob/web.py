"""GET requests to one server of blobs, with limits to time and size; what it says is a value, silence is an error."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import httpx
import orjson
import trio

from kroma_core.events import Event, RequestAnswered
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.jsonrpc.over_http import DEFAULT_WAIT, retry_after

MAX_BYTES: Final = 64 << 20
"""Bytes of an answer: about 240 blobs in hexadecimal, ten times what a block holds."""
OK: Final = 200
ABSENT: Final = frozenset({404, 410})
"""Statuses that say: there is no such thing here (any more)."""
UNSERVED: Final = frozenset({400, 405, 406, 415, 501})
"""Statuses that say: not asked like this. They tell nothing of what the server has."""
_RATE_LIMITED: Final = 429


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
        client: httpx.AsyncClient,
        address: ServerAddress,
        *,
        part: str,
        emit: Callable[[Event], None],
        seconds: float,
    ) -> None:
        self._client, self._address, self._part = client, address, part
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
        pieces, size = [], 0
        try:
            async with self._client.stream("GET", self._url(path, query)) as response:
                async for piece in response.aiter_bytes():
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise self.failed(
                            what, Failure.TOO_LARGE, f"expected at most {MAX_BYTES} bytes in an answer, got more"
                        )
                    pieces.append(piece)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            text = self._address.censored(str(error) or type(error).__name__)
            raise self.failed(what, Failure.UNREACHABLE, text) from error
        body, status = b"".join(pieces), response.status_code
        said = "" if status == OK else self._address.censored(body[:1024].decode(errors="replace"))
        if status != OK and status not in ABSENT | UNSERVED:
            wait = retry_after(response.headers.get("retry-after"), time.time())
            raise NoAnswer(
                server=self.name,
                method=what,
                failure=Failure.RATE_LIMITED if status == _RATE_LIMITED else Failure.STATUS,
                reason=f"expected HTTP status 200, got {status}{f': {said}' if said else ''}",
                status=status,
                retry_after=DEFAULT_WAIT if status == _RATE_LIMITED and wait is None else wait,
            )
        return Answer(
            status=status, body=body, content_type=response.headers.get("content-type", "").lower(), said=said
        )

    def _url(self, path: str, query: Sequence[tuple[str, str]]) -> str:
        if not query:
            return self._address.name + path
        return f"{self._address.name}{path}{'&' if '?' in path else '?'}{urlencode(query)}"

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
    fixed = {"user-agent": "kroma", "accept": "application/json", **(headers or {})}
    if address.authorization is not None:
        fixed.setdefault("authorization", address.authorization)
    # The environment's proxies are not asked: what a node talks to stands in its profile.
    async with httpx.AsyncClient(
        headers=fixed, timeout=None, trust_env=False, verify=address.encrypted, follow_redirects=False
    ) as client:
        yield BlobServer(client, address, part=part, emit=emit, seconds=seconds)
