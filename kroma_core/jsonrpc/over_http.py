"""JSON-RPC requests as HTTP POSTs over kept connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Unusable, parsed
from kroma_core.jsonrpc.errors import Failure, NoAnswer
from kroma_core.jsonrpc.http_answer import OK, Headers, HttpRequests, NoHttpAnswer, refusal

_JSON: Mapping[str, str] = {"content-type": "application/json", "accept": "application/json"}


@attrs.frozen(kw_only=True)
class HttpLine:
    """Asks one server. `headers` is called for each request: what it returns is added."""

    address: ServerAddress
    requests: HttpRequests
    headers: Headers | None
    max_bytes: int

    async def exchange(self, body: bytes, ids: range, method: str) -> Any:
        """The JSON value that answers `body`. Raises `NoAnswer`."""
        headers = {**_JSON, **self.headers()} if self.headers is not None else _JSON
        try:
            answer = await self.requests.request("POST", self.address.target, headers, body, most=self.max_bytes)
        except NoHttpAnswer as error:
            raise self._failed(method, error.failure, self.address.censored(error.reason)) from error
        if answer.status != OK:
            raise refusal(answer, self.address, method)
        try:
            return parsed(answer.body)
        except Unusable as error:
            raise self._failed(method, Failure.MALFORMED, str(error)) from error

    def unanswered(self, seconds: float) -> None:
        """An exchange was given up: its connection was closed with it."""

    def notice_lost(self) -> bool:
        """Whether the server has closed a kept connection since this was asked last."""
        return self.requests.notice_lost()

    def _failed(self, method: str, failure: Failure, reason: str) -> NoAnswer:
        return NoAnswer(server=self.address.name, method=method, failure=failure, reason=reason)


@asynccontextmanager
async def http_line(
    address: ServerAddress, *, headers: Headers | None, connections: int, max_bytes: int
) -> AsyncIterator[HttpLine]:
    """At most `connections` requests are under way at once; more of them wait."""
    async with http_requests(address, most_connections=connections) as requests:
        yield HttpLine(address=address, requests=requests, headers=headers, max_bytes=max_bytes)


def http_requests(address: ServerAddress, *, most_connections: int) -> AbstractAsyncContextManager[HttpRequests]:
    """Connections to the server of an http or https URL, for requests of any kind."""
    if address.encrypted:
        from kroma_core.jsonrpc.http_secure import secure_connections  # slow to import

        return secure_connections(address, most_connections=most_connections)
    from kroma_core.jsonrpc.http_plain import plain_connections

    return plain_connections(address, most_connections=most_connections)
