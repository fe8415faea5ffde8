"""One HTTP connection: requests in, answers out, until one side has enough.

Every wait has its end: for a request to begin, for it to arrive, for the answer, for the client to take the answer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import attrs
import h11
import trio

from kroma_core.errors import NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.held import Share
from kroma_core.jsonrpc.http import HttpServer, Request, Response, Route, find_route, split_target
from kroma_core.jsonrpc.processing import Broken, Processor, contained
from kroma_core.jsonrpc.websocket import serve_websocket

CHUNK = 64 * 1024
LINGER_SECONDS = 1
"""How long what a client still sends is read after a refusal, so that the refusal reaches it."""

JSON_TYPES = frozenset({"application/json", "application/json-rpc", "application/jsonrequest"})
"""Types that a browser does not send to another site without asking it first."""

_STATUSES: Mapping[int, int] = {Code.INVALID_PARAMS: 400, Code.INTERNAL_ERROR: 500}
"""HTTP statuses of the errors that routes raise."""

Waiting = Callable[[], AbstractContextManager[trio.CancelScope]]


@attrs.frozen
class Refused(Exception):
    """The request is not answered any further; the connection ends."""

    response: Response


class Gone(Exception):
    """The client has left, or does not take what is sent to it."""


class HttpConnection:
    """A client's connection, and how far the talk on it has come."""

    def __init__(
        self,
        stream: trio.SocketStream,
        server: HttpServer,
        processor: Processor,
        slots: trio.Semaphore,
        waiting: Waiting,
        share: Share,
    ) -> None:
        self._stream, self._server, self._processor = stream, server, processor
        self._slots, self._waiting, self._share = slots, waiting, share
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.header)

    async def run(self) -> None:
        """Answer requests until the connection ends; returns in every case but cancellation."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
        except (Gone, trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            head = await self._receive_head()
            if head is None:
                return False
            request = self._checked(head)
            if _wants_websocket(request):
                return await self._upgrade(head)
            request = attrs.evolve(request, body=await self._receive_body(request))
            response = await self._answer(request)
            self._share.release(self._share.size)  # the request's
        except h11.RemoteProtocolError as error:
            await self._refuse(Response.text(f"not a proper HTTP request: {error}\n", error.error_status_hint))
            return False
        except Refused as refused:
            await self._refuse(refused.response)
            return False
        await self._send(response, with_body=request.method != "HEAD")
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _receive_head(self) -> h11.Request | None:
        """The next request, without its body; None where there is none any more."""
        limits, event = self._server.limits, None
        with self._waiting() as scope:
            scope.deadline = trio.current_time() + limits.idle_seconds
            event = self._http.next_event()
            begun = False
            while event is h11.NEED_DATA:
                if not begun and self._http.trailing_data[0]:
                    begun, scope.deadline = True, trio.current_time() + limits.receive_seconds
                self._http.receive_data(await self._stream.receive_some(CHUNK))
                event = self._http.next_event()
        return event if isinstance(event, h11.Request) else None

    def _checked(self, head: h11.Request) -> Request:
        """The request without its body. Raises `Refused` for one that may not be made at all."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        try:
            path, query = split_target(head.target.decode("latin-1"))
        except ValueError as error:
            raise Refused(Response.text("too many fields in the query\n", 400)) from error
        request = Request(method=head.method.decode("latin-1"), path=path, query=query, headers=headers)
        if not _is_allowed_host(headers.get("host", ""), self._server.hosts):
            raise Refused(Response.text("the server is not known under this host name\n", 403))
        origin = headers.get("origin")
        if origin is not None and not self._server.origins & {origin, "*"}:
            raise Refused(Response.text("pages of this origin may not use the server\n", 403))
        if self._server.authorise is not None and request.method != "OPTIONS":
            reason = self._server.authorise(headers)
            if reason is not None:
                raise Refused(Response.text(reason + "\n", 401))
        return request

    async def _receive_body(self, request: Request) -> bytes:
        most = self._server.limits.body
        too_large = Refused(Response.text(f"the request is larger than {most} bytes\n", 413))
        length = request.headers.get("content-length", "0")
        if len(length) > 12 or int(length) > most:
            raise too_large
        if self._http.they_are_waiting_for_100_continue:
            await self._send_bytes(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        parts, size = [], 0
        with trio.move_on_after(self._server.limits.receive_seconds), self._waiting() as place:
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some(CHUNK))
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
                    size += len(event.data)
                    if size > most:
                        raise too_large
                    self._share.add(len(event.data))
                else:
                    return b"".join(parts)
        if place.cancelled_caught:
            raise Gone  # another connection took this one's place
        raise Refused(Response.text("the request did not arrive in time\n", 408))

    async def _answer(self, request: Request) -> Response:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return _preflight(origin)
        response = await self._routed(request)
        if origin is not None:
            headers = (("access-control-allow-origin", origin), ("vary", "origin"))
            response = attrs.evolve(response, headers=response.headers + headers)
        return response

    async def _routed(self, request: Request) -> Response:
        if request.path == "/" and self._server.methods is not None:
            if request.method == "POST":
                return await self._json_rpc(request)
            if request.method in ("GET", "HEAD"):
                return Response()
            return Response(status=405, headers=(("allow", "POST, GET"),))
        match find_route(self._server.routes, request.method, request.path):
            case (route, named):
                async with self._slots:
                    seconds = self._server.limits.request_seconds
                    began = trio.current_time()
                    with trio.move_on_after(seconds):
                        asked = attrs.evolve(request, named=named)
                        found = await contained(route.path, lambda: _answered(route, asked))
                        if isinstance(found, Broken):
                            self._processor.report(route.path, trio.current_time() - began, found)
                        return found if isinstance(found, Response) else _failure(found)
                    return Response.text(f"no answer within {seconds:g} s\n", 503)
            case True:
                return Response.text(f"{request.method} is not answered here\n", 405)
        return Response.text("nothing is served under this path\n", 404)

    async def _json_rpc(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in JSON_TYPES:
            return Response.text("expected the content type application/json\n", 415)
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            return Response.text("a compressed request is not read\n", 415)
        async with self._slots:
            answer = await self._processor.answer(request.body)
        return Response.json(answer or b"")

    async def _upgrade(self, head: h11.Request) -> bool:
        if not self._server.websocket or self._server.methods is None:
            raise Refused(Response.text("WebSocket is not served on this port\n", 426 if self._server.methods else 404))
        early = self._http.trailing_data[0]
        await serve_websocket(self._stream, head, early, self._processor, self._slots, self._server.limits, self._share)
        return False

    async def _refuse(self, response: Response) -> None:
        """Answer although the request has not been read to its end, and let the answer arrive."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        closing = attrs.evolve(response, headers=(*response.headers, ("connection", "close")))
        await self._send(closing, with_body=True)
        with trio.move_on_after(LINGER_SECONDS):
            await self._stream.send_eof()
            while await self._stream.receive_some(CHUNK):
                pass

    async def _send(self, response: Response, *, with_body: bool) -> None:
        headers = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            *response.headers,
        ]
        data = self._http.send(h11.Response(status_code=response.status, headers=headers))
        size = len(response.body)
        self._share.add(size)
        if with_body and response.body:
            body = self._http.send(h11.Data(data=response.body))
            if size > CHUNK:  # not worth a copy to be sent at once with what is before it
                await self._send_bytes(data)
                data = body
            else:
                data += body
        end = self._http.send(h11.EndOfMessage())
        await self._send_bytes(data + end if end else data)
        self._share.release(size)

    async def _send_bytes(self, data: bytes) -> None:
        with trio.move_on_after(self._server.limits.send_seconds):
            await self._stream.send_all(data)
            return
        raise Gone


def _wants_websocket(request: Request) -> bool:
    return request.method == "GET" and request.headers.get("upgrade", "").strip().lower() == "websocket"


def _is_allowed_host(host: str, allowed: frozenset[str]) -> bool:
    """Whether a `Host` header names this server: absent, an address, or one of its names."""
    if not host or "*" in allowed:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _preflight(origin: str | None) -> Response:
    """The answer to a browser that asks before it sends; its origin has been checked."""
    if origin is None:
        return Response(status=405)
    return Response(
        headers=(
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "POST, GET"),
            ("access-control-allow-headers", "content-type, authorization"),
            ("access-control-max-age", "600"),
            ("vary", "origin"),
        )
    )


async def _answered(route: Route, request: Request) -> Response:
    try:
        return await route.answer(request)
    except NotFound as error:
        return Response.text(f"{error}\n", 404)


def _failure(found: RpcError | Broken | object) -> Response:
    """What a route answers where it raised."""
    error = found.error if isinstance(found, Broken) else found
    if not isinstance(error, RpcError):
        return Response.text("internal error\n", 500)
    return Response.text(error.message + "\n", _STATUSES.get(error.code, 503))
