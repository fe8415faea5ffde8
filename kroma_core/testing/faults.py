"""What can go wrong between a part and the server it asks, and an HTTP front that lets it go wrong.

plant = Plant()
async with fault_front(url_of_a_right_server, plant) as url:
    source = MySource(url)          # everything passes
    plant.fault = Fault.TRUNCATED   # from now on answers end early
    plant.clear()                   # and from now on everything passes again
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import attrs
import h11
import orjson
import trio

from kroma_core.jsonrpc.background import BackgroundTasks


class Fault(enum.StrEnum):
    """How a server fails."""

    REFUSED = "refused"
    """The connection ends before an answer."""
    SLOW = "slow"
    """No answer until the fault is over."""
    TRUNCATED = "truncated"
    """Half the answer, then the connection ends."""
    EMPTY = "empty"
    """Status 200, and nothing in it."""
    NOT_FOUND = "not found"
    """Status 404 whatever is asked."""
    WRONG = "wrong data"
    """One hexadecimal digit of the answer is another."""
    OUT_OF_ORDER = "out of order"
    """The items of a list come the other way round."""


SILENT = (Fault.REFUSED, Fault.TRUNCATED, Fault.EMPTY)
"""Faults after which nothing is known; a part has to say that it got no answer."""


def _nothing() -> None:
    return None


@attrs.define
class Plant:
    """What a test lets go wrong now. A maker's own server may consult it in place of `fault_front`.

    `on_request` is called before each request is passed on: a test changes the world under a running call with it.
    """

    fault: Fault | None = None
    on_request: Callable[[], None] = _nothing
    requests: int = 0
    place: float = 0.5
    """Where `WRONG` strikes, as a share of the answer."""
    _over: trio.Event = attrs.field(factory=trio.Event, init=False)

    def clear(self) -> None:
        """Nothing goes wrong from now on; what was slow is answered."""
        self.fault = None
        self._over.set()
        self._over = trio.Event()

    async def over(self) -> None:
        """Wait until the present fault is cleared."""
        await self._over.wait()


@asynccontextmanager
async def fault_front(url: str, plant: Plant) -> AsyncIterator[str]:
    """The URL of an HTTP server on loopback that passes requests on to `url` and lets answers go wrong."""
    target = urlsplit(url)
    assert target.hostname is not None, url
    front = _Front(host=target.hostname, port=target.port or 80, plant=plant)
    async with BackgroundTasks() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, front.connection, 0, host="127.0.0.1"))
        yield target._replace(netloc=f"127.0.0.1:{listeners[0].socket.getsockname()[1]}").geturl()


@attrs.frozen(kw_only=True)
class _Front:
    host: str
    port: int
    plant: Plant

    async def connection(self, stream: trio.SocketStream) -> None:
        try:
            while await self._exchange(stream):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, OSError):
            await trio.aclose_forcefully(stream)

    async def _exchange(self, stream: trio.SocketStream) -> bool:
        """One request and its answer; False when the connection ends with it."""
        server = h11.Connection(h11.SERVER)
        request, body = await _received(server, stream)
        if not isinstance(request, h11.Request):
            return False
        self.plant.requests += 1
        self.plant.on_request()
        fault = self.plant.fault
        if fault is Fault.REFUSED:
            await stream.aclose()
            return False
        if fault is Fault.SLOW:
            await self.plant.over()
        status, kind, content = await self._asked(request, body)
        if fault is Fault.NOT_FOUND:
            status, content = 404, b"not found"
        if fault in (Fault.EMPTY, Fault.WRONG, Fault.OUT_OF_ORDER):
            content = _spoilt(content, fault, self.plant.place)
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), (b"connection", b"close")]
        sent = server.send(h11.Response(status_code=status, headers=headers)) or b""
        if fault is Fault.TRUNCATED:
            content = content[: len(content) // 2]
        await stream.send_all(sent + content)
        await stream.aclose()
        return False

    async def _asked(self, request: h11.Request, body: bytes) -> tuple[int, bytes, bytes]:
        """Status, content type and body of the right server's answer."""
        client = h11.Connection(h11.CLIENT)
        left_out = (b"connection", b"accept-encoding", b"transfer-encoding", b"content-length", b"expect")
        headers = [(name, value) for name, value in request.headers if name not in left_out]
        headers += [(b"connection", b"close"), (b"content-length", b"%d" % len(body))]
        async with await trio.open_tcp_stream(self.host, self.port) as stream:
            asked = client.send(h11.Request(method=request.method, target=request.target, headers=headers)) or b""
            await stream.send_all(asked + (client.send(h11.Data(data=body)) or b"" if body else b""))
            client.send(h11.EndOfMessage())
            response, content = await _received(client, stream)
        if not isinstance(response, h11.Response):
            return 502, b"text/plain", b"no answer"
        kind = next((value for name, value in response.headers if name == b"content-type"), b"application/json")
        return response.status_code, kind, content


async def _received(
    connection: h11.Connection, stream: trio.SocketStream
) -> tuple[h11.Request | h11.Response | None, bytes]:
    """The head and the whole body of what the other side sends; no head when it sends nothing."""
    head: h11.Request | h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65_536))
        elif isinstance(event, h11.Request | h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return head, bytes(body)


def _spoilt(content: bytes, fault: Fault, place: float) -> bytes:
    if fault is Fault.EMPTY:
        return b""
    if fault is Fault.OUT_OF_ORDER:
        try:
            return orjson.dumps(_turned(orjson.loads(content)))
        except orjson.JSONDecodeError:
            return content
    digits = b"0123456789abcdef"
    start = int(len(content) * place)
    at = next((index for index in range(start, len(content)) if content[index] in digits), None)
    if at is None:
        return content
    other = digits[(digits.index(content[at]) + 1) % 16]
    return content[:at] + bytes((other,)) + content[at + 1 :]


def _turned(value: object) -> object:
    """The outermost list of an answer, from its end."""
    if isinstance(value, list):
        return value[::-1]
    if isinstance(value, dict):
        return {key: _turned(inner) if key in ("data", "result") else inner for key, inner in value.items()}
    return value
