"""JSON-RPC requests as HTTP POSTs over kept connections."""

from __future__ import annotations

import email.utils
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import httpx

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Unusable, parsed
from kroma_core.jsonrpc.errors import Failure, NoAnswer

Headers = Callable[[], Mapping[str, str]]

LONGEST_WAIT: Final = 300.0
"""Seconds of a Retry-After that are believed."""
DEFAULT_WAIT: Final = 1.0
"""Seconds to wait where a server limits the rate and does not say for how long."""
_EXCERPT: Final = 1024


@attrs.frozen(kw_only=True)
class HttpLine:
    """Connections to one server. At most `connections` requests are under way at once; more of them wait."""

    address: ServerAddress
    _client: httpx.AsyncClient
    _headers: Headers | None
    _max_bytes: int

    async def exchange(self, body: bytes, ids: range, method: str) -> Any:
        """The JSON value that answers `body`. Raises `NoAnswer`."""
        headers = {"content-type": "application/json", **(self._headers() if self._headers is not None else {})}
        try:
            async with self._client.stream("POST", self.address.url, content=body, headers=headers) as response:
                if response.status_code != 200:
                    raise self._refused(response, await _beginning(response), method)
                received = await self._received(response, method)
        except httpx.DecodingError as error:
            raise self._failed(method, Failure.MALFORMED, f"the answer does not decompress ({error})") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            text = str(error) or type(error).__name__
            raise self._failed(method, Failure.UNREACHABLE, self.address.censored(text)) from error
        try:
            return parsed(received)
        except Unusable as error:
            raise self._failed(method, Failure.MALFORMED, str(error)) from error

    def unanswered(self, seconds: float) -> None:
        """An exchange was given up: its connection was closed with it."""

    async def _received(self, response: httpx.Response, method: str) -> bytes:
        pieces, size = [], 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._max_bytes:
                raise self._failed(
                    method, Failure.TOO_LARGE, f"expected an answer of at most {self._max_bytes} bytes, got more"
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _refused(self, response: httpx.Response, beginning: bytes, method: str) -> NoAnswer:
        status = response.status_code
        said = self.address.censored(beginning.decode(errors="replace"))
        reason = f"expected HTTP status 200, got {status}{f': {said}' if said else ''}"
        if status == 429:
            wait = retry_after(response.headers.get("retry-after"), time.time())
            return NoAnswer(
                server=self.address.name,
                method=method,
                failure=Failure.RATE_LIMITED,
                reason=reason,
                status=status,
                retry_after=DEFAULT_WAIT if wait is None else wait,
            )
        wait = retry_after(response.headers.get("retry-after"), time.time())
        return NoAnswer(
            server=self.address.name,
            method=method,
            failure=Failure.STATUS,
            reason=reason,
            status=status,
            retry_after=wait,
        )

    def _failed(self, method: str, failure: Failure, reason: str) -> NoAnswer:
        return NoAnswer(server=self.address.name, method=method, failure=failure, reason=reason)


async def _beginning(response: httpx.Response) -> bytes:
    """The first bytes of an answer that is not wanted."""
    found = b""
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) >= _EXCERPT:
            break
    return found[:_EXCERPT]


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


@asynccontextmanager
async def http_line(
    address: ServerAddress, *, headers: Headers | None, connections: int, max_bytes: int
) -> AsyncIterator[HttpLine]:
    fixed = {"user-agent": "kroma"}
    if address.authorization is not None:
        fixed["authorization"] = address.authorization
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30.0)
    # The environment's proxies are not asked: what a node talks to stands in its profile. Certificates are loaded
    # where they are used; time limits are the caller's.
    client = httpx.AsyncClient(
        headers=fixed, limits=limits, timeout=None, trust_env=False, verify=address.encrypted, follow_redirects=False
    )
    async with client:
        yield HttpLine(address=address, client=client, headers=headers, max_bytes=max_bytes)
