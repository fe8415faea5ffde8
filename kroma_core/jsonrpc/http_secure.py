"""HTTP over TLS, through a general client: certificates are its business."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import attrs
import httpx

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import EXCERPT, OK, HttpAnswer, NoHttpAnswer, too_large

_KEPT_SECONDS: Final = 30.0


@attrs.frozen
class SecureConnections:
    """Connections to the server of an https URL."""

    _address: ServerAddress
    _client: httpx.AsyncClient

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, most: int
    ) -> HttpAnswer:
        """See `HttpRequests`."""
        url = self._address.name + target
        try:
            async with self._client.stream(method, url, content=body or None, headers=dict(headers)) as response:
                return HttpAnswer(
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=await _body(response, most),
                )
        except httpx.DecodingError as error:
            raise NoHttpAnswer(Failure.MALFORMED, f"the answer does not decompress ({error})") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NoHttpAnswer(Failure.UNREACHABLE, str(error) or type(error).__name__) from error

    def notice_lost(self) -> bool:
        """Not known here: the client does not tell which connection it uses."""
        return False


async def _body(response: httpx.Response, most: int) -> bytes:
    """The body; its beginning where the status is another than 200."""
    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if response.status_code != OK and size >= EXCERPT:
            break
        if size > most:
            raise too_large(most)
    body = b"".join(pieces)
    return body if response.status_code == OK else body[:EXCERPT]


@asynccontextmanager
async def secure_connections(address: ServerAddress, *, most_connections: int) -> AsyncIterator[SecureConnections]:
    """Connections to the server of an https URL, made when they are first needed."""
    fixed = {"user-agent": "kroma"}
    if address.authorization is not None:
        fixed["authorization"] = address.authorization
    limits = httpx.Limits(
        max_connections=most_connections,
        max_keepalive_connections=most_connections,
        keepalive_expiry=_KEPT_SECONDS,
    )
    # The environment's proxies are not asked: what a node talks to stands in its profile. Time limits are the caller's.
    async with httpx.AsyncClient(
        headers=fixed, limits=limits, timeout=None, trust_env=False, follow_redirects=False
    ) as client:
        yield SecureConnections(address, client)
