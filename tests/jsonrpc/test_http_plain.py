"""HTTP requests over TCP: which connection they take, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import HttpAnswer, NoHttpAnswer
from kroma_core.jsonrpc.http_plain import PlainConnections, plain_connections

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Talk = Callable[[trio.SocketStream, bytes], Awaitable[bool]]
"""What the server does with a request; False: it closes the connection."""


class Server:
    """Counts its connections and the requests on each."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests: list[int] = []
        self.ended = trio.Event()
        """Set when a connection has ended."""

    async def serve(self, stream: trio.SocketStream) -> None:
        place = len(self.requests)
        self.requests.append(0)
        try:
            while data := await stream.receive_some():
                self.requests[place] += 1
                if not await self.talk(stream, data):
                    break
        except trio.BrokenResourceError:
            pass
        await stream.aclose()
        self.ended.set()


async def kindly(stream: trio.SocketStream, data: bytes) -> bool:
    await stream.send_all(ANSWER)
    return True


def asking(
    body: Callable[[PlainConnections, Server], Awaitable[None]], talk: Talk = kindly, *, most_connections: int = 4
) -> Server:
    """Run `body` with connections to a server."""
    server = Server(talk)

    async def main() -> None:
        with trio.fail_after(20):
            async with BackgroundTasks() as nursery:
                [listener] = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
                address = ServerAddress.parse(f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
                async with plain_connections(address, most_connections=most_connections) as connections:
                    await body(connections, server)

    trio.run(main)
    return server


async def post(connections: PlainConnections, body: bytes = b"hello", **settings: Any) -> HttpAnswer:
    return await connections.request("POST", "/", {}, body, **{"most": 1_000_000, **settings})


def test_requests_one_after_another_share_a_connection() -> None:
    async def body(connections: PlainConnections, server: Server) -> None:
        for _ in range(5):
            assert (await post(connections)).body == b"ok"
        assert not connections.notice_lost()

    assert asking(body).requests == [5]


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    async def once(stream: trio.SocketStream, data: bytes) -> bool:
        await stream.send_all(ANSWER)  # and closes, without having said so
        return False

    async def body(connections: PlainConnections, server: Server) -> None:
        for _ in range(3):
            server.ended = trio.Event()
            assert (await post(connections)).body == b"ok"
            await server.ended.wait()
        assert connections.notice_lost()
        assert not connections.notice_lost()

    assert asking(body, once).requests == [1, 1, 1]


def test_what_was_sent_is_not_sent_again_where_no_answer_came() -> None:
    async def silent(stream: trio.SocketStream, data: bytes) -> bool:
        return False

    async def body(connections: PlainConnections, server: Server) -> None:
        with pytest.raises(NoHttpAnswer, match="closed connection without an answer") as caught:
            await post(connections)
        assert caught.value.failure is Failure.UNREACHABLE

    assert asking(body, silent).requests == [1]


def test_a_connection_whose_answer_was_not_awaited_is_closed() -> None:
    async def slow(stream: trio.SocketStream, data: bytes) -> bool:
        if b"slow" in data:
            await stream.receive_some()  # nothing comes but the end of the connection
            return False
        return await kindly(stream, data)

    async def body(connections: PlainConnections, server: Server) -> None:
        await post(connections)
        with trio.move_on_after(0.05) as scope:
            await post(connections, b"slow")
        assert scope.cancelled_caught
        await server.ended.wait()
        assert (await post(connections)).body == b"ok"

    assert asking(body, slow).requests == [2, 1]


def test_no_more_connections_are_open_than_allowed_and_requests_wait_for_their_turn() -> None:
    async def body(connections: PlainConnections, server: Server) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(post, connections)

    server = asking(body, most_connections=2)
    assert (len(server.requests), sum(server.requests)) == (2, 20)


def test_a_refusal_counts_although_the_server_does_not_read_to_the_end() -> None:
    async def picky(stream: trio.SocketStream, data: bytes) -> bool:
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!")
        await stream.send_eof()
        while await stream.receive_some():
            pass
        return False

    async def body(connections: PlainConnections, server: Server) -> None:
        answer = await post(connections, b"x" * 20_000_000)
        assert (answer.status, answer.body) == (413, b"no!")

    asking(body, picky)


def test_a_large_request_and_a_large_answer_arrive_whole() -> None:
    size = 8_000_000

    async def echo(stream: trio.SocketStream, data: bytes) -> bool:
        _, _, start = data.partition(b"\r\n\r\n")
        left = size - len(start)
        while left:
            left -= len(await stream.receive_some())
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
        return True

    async def body(connections: PlainConnections, server: Server) -> None:
        for _ in range(2):
            assert (await post(connections, b"x" * size, most=size)).body == bytes(size)

    assert asking(body, echo).requests == [2]


def test_a_target_is_sent_as_one_word() -> None:
    seen: list[bytes] = []

    async def listen(stream: trio.SocketStream, data: bytes) -> bool:
        seen.append(data)
        return await kindly(stream, data)

    async def body(connections: PlainConnections, server: Server) -> None:
        await connections.request("GET", "/a?b=c d\u20ac%20&e=%C3", {}, most=100)

    asking(body, listen)
    assert seen[0].startswith(b"GET /a?b=c%20d%E2%82%AC%20&e=%C3 HTTP/1.1\r\nhost: 127.0.0.1:")


def test_why_there_is_no_connection_is_told() -> None:
    async def main() -> None:
        async with plain_connections(ServerAddress.parse("http://127.0.0.1:1"), most_connections=1) as connections:
            with pytest.raises(NoHttpAnswer, match=r"cannot connect to 127\.0\.0\.1:1 \(Connection refused\)"):
                await post(connections)

    trio.run(main)
