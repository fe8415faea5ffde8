"""What all clients of a server together make it hold has an end."""

from __future__ import annotations

import socket

import orjson
import trio
from trio.testing import wait_all_tasks_blocked

from kroma_core.jsonrpc.held import HeldBytes
from kroma_core.jsonrpc.limits import Limits
from kroma_core.jsonrpc.methods import Methods
from tests.jsonrpc.clients import Served, call, read_all, with_server
from tests.jsonrpc.test_server_websocket import UPGRADE

MB = 10**6
LARGE = 10 * MB
"""More than the kernel takes off a server for a client that does not read."""
LIMITS = Limits(held=3 * LARGE)
CLIENTS = 6


def methods() -> Methods:
    found = Methods()

    async def large() -> bytes:
        return b'"' + b"x" * LARGE + b'"'

    async def small() -> bytes:
        return b'"x"'

    found.add_namespace("test", {"large": large, "small": small})
    return found


async def narrow(server: Served) -> trio.SocketStream:
    """A connection whose client's side takes little by itself."""
    connection = trio.socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await connection.connect((server.host, server.port))
    return trio.SocketStream(connection)


def http_request(body: bytes) -> bytes:
    head = (
        f"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def websocket_request(text: bytes) -> bytes:
    return UPGRADE + b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


def complete_answers(ask: bytes) -> int:
    """How many of some clients that did not read get their answer after all; another is answered meanwhile."""

    async def check(server: Served) -> int:
        streams = [await narrow(server) for _ in range(CLIENTS)]
        for stream in streams:
            await stream.send_all(ask)
            await wait_all_tasks_blocked(0.02)
        assert (await server.call("test_small"))["result"] == "x"
        return [len(await read_up_to(stream, LARGE)) >= LARGE for stream in streams].count(True)

    complete: int = with_server(check, methods=methods(), websocket=True, limits=LIMITS)
    return complete


async def read_up_to(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    try:
        while len(data) < size and (part := await stream.receive_some(1 << 20)):
            data += part
    except trio.BrokenResourceError:
        pass
    await stream.aclose()
    return bytes(data)


def test_answers_that_clients_do_not_take_are_kept_up_to_a_sum() -> None:
    assert 1 <= complete_answers(http_request(orjson.dumps(call("test_large")))) <= 3


def test_the_sum_counts_websocket_clients_too() -> None:
    assert 1 <= complete_answers(websocket_request(orjson.dumps(call("test_large")))) <= 3


def test_requests_that_do_not_come_to_their_end_are_kept_up_to_a_sum() -> None:
    async def check(server: Served) -> None:
        begun = http_request(bytes(4 * MB))[: 3 * MB]
        streams = [await server.raw() for _ in range(6)]
        for stream in streams:
            await stream.send_all(begun)
            await wait_all_tasks_blocked(0.02)
        ended = 0
        for stream in streams:
            with trio.move_on_after(0.1):
                await read_all(stream)
                ended += 1
        assert 3 <= ended < 6
        assert (await server.call("test_small"))["result"] == "x"

    with_server(check, methods=methods(), limits=Limits(held=10 * MB))


def test_what_was_taken_does_not_count() -> None:
    async def check(server: Served) -> None:
        for _ in range(5):
            assert len((await server.call("test_large"))["result"]) == LARGE

    with_server(check, methods=methods(), limits=LIMITS)


def test_those_that_hold_most_are_ended() -> None:
    async def main() -> None:
        held = HeldBytes(100)
        with held.share() as small, held.share() as large, held.share() as newest:
            small.add(10)
            large.add(60)
            newest.add(30)
            assert not large.scope.cancel_called
            newest.add(1)
            assert [one.scope.cancel_called for one in (small, large, newest)] == [False, True, False]
        with held.share() as other:
            other.add(100)
            assert not other.scope.cancel_called

    trio.run(main)
