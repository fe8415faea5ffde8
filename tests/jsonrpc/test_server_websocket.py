"""JSON-RPC over a WebSocket, spoken by a client that shares no code with the server's own loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

from kroma_core.jsonrpc.limits import Limits
from tests.jsonrpc.clients import Served, call, read_all, with_server

UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)


def talking(check: Callable[[Served, WebSocketConnection], Awaitable[Any]], **settings: Any) -> Any:
    async def main(server: Served) -> Any:
        async with open_websocket_url(server.url.replace("http", "ws")) as socket:
            return await check(server, socket)

    return with_server(main, **{"websocket": True, **settings})


async def ask(socket: WebSocketConnection, request: Any) -> Any:
    await socket.send_message(request if isinstance(request, bytes | str) else orjson.dumps(request).decode())
    return orjson.loads(await socket.get_message())


async def expect_alive(server: Served) -> None:
    assert (await server.call("test_encoded"))["result"] == {"ready": "made"}


def test_calls_and_batches_are_answered() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        assert (await ask(socket, call("test_echo", 1)))["result"] == [1, None]
        assert len(await ask(socket, [call("test_echo", 1), call("test_echo", 2)])) == 2
        assert (await ask(socket, b"\xff"))["error"]["code"] == -32700
        assert (await ask(socket, orjson.dumps([call("test_encoded")] * 10_000)))["error"]["code"] == -32600

    talking(check)


def test_what_a_method_tells_later_comes_after_its_answer_and_in_order() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        assert (await ask(socket, call("test_count", 3)))["result"] == "0x1"
        told = [orjson.loads(await socket.get_message()) for _ in range(3)]
        assert [message["params"]["number"] for message in told] == [0, 1, 2]
        assert {message["method"] for message in told} == {"test_counted"}

    talking(check)


def test_over_http_there_is_nobody_to_tell_later() -> None:
    async def check(server: Served) -> None:
        assert (await server.call("test_count", 3))["error"]["code"] == -32601

    with_server(check)


def test_a_call_that_hangs_does_not_hold_up_the_next_one() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        await socket.send_message(orjson.dumps(call("test_stuck", identity=1)).decode())
        assert (await ask(socket, call("test_encoded", identity=2)))["id"] == 2

    talking(check)


def test_a_client_with_many_calls_that_hang_leaves_room_for_others() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        for identity in range(30):
            await socket.send_message(orjson.dumps(call("test_stuck", identity=identity)).decode())
        await wait_all_tasks_blocked(0.05)
        with trio.fail_after(20):
            await expect_alive(server)

    talking(check, limits=Limits(concurrent=20))


def test_a_mistake_in_a_subscription_ends_it_alone() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        assert (await ask(socket, call("test_faulty")))["result"] == "0x3"
        assert (await ask(socket, call("test_encoded")))["result"] == {"ready": "made"}
        assert any("KeyError" in getattr(event, "error", "") for event in server.events)

    talking(check)


def test_a_message_that_is_too_large_ends_the_connection() -> None:
    async def check(server: Served, socket: WebSocketConnection) -> None:
        await socket.send_message("x" * 20_000)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.get_message()
        assert closed.value.reason.code == 1009
        await expect_alive(server)

    talking(check, limits=Limits(body=10_000))


def test_a_client_that_reads_slower_than_it_is_told_is_cut_off() -> None:
    async def check(server: Served) -> None:
        async with await server.raw() as stream:
            text = orjson.dumps(call("test_flood", 100_000))
            await stream.send_all(UPGRADE + b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
            await trio.sleep(31)
            await read_all(stream)
        await expect_alive(server)

    with_server(check, patient=False, websocket=True, limits=Limits(unsent=1 << 20))


def test_a_client_that_falls_silent_is_pinged_and_then_given_up() -> None:
    async def check(server: Served) -> None:
        async with await server.raw() as stream:
            await stream.send_all(UPGRADE)
            received = await read_all(stream)
        assert received.count(b"\x89\x00") >= 2
        assert 60 < trio.current_time() < 120

    with_server(check, patient=False, websocket=True)


@pytest.mark.parametrize(
    "frames",
    [
        b"\xff\xff\xff\xff\xff\xff",
        b"\x81\x05hello",  # not masked
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x80\x80\x00\x00\x00\x00",  # the rest of a message that never began
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is not UTF-8
    ],
)
def test_frames_that_break_the_protocol_end_the_connection(frames: bytes) -> None:
    async def check(server: Served) -> None:
        answer = await server.exchange(UPGRADE + frames)
        assert answer.startswith(b"HTTP/1.1 101")
        await expect_alive(server)

    with_server(check, websocket=True)


def test_clients_that_leave_while_they_are_told_harm_nobody() -> None:
    async def check(server: Served) -> None:
        for _ in range(5):
            async with await server.raw() as stream:
                text = orjson.dumps(call("test_flood", 1000))
                await stream.send_all(UPGRADE + b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
                await stream.receive_some()
        await expect_alive(server)

    with_server(check, websocket=True)


def test_a_port_without_websocket_says_so() -> None:
    async def check(server: Served) -> None:
        with pytest.raises(HandshakeError):
            async with open_websocket_url(server.url.replace("http", "ws")):
                pass

    with_server(check)


@pytest.mark.parametrize("missing", [b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"connection: Upgrade\r\n"])
def test_a_handshake_that_lacks_something_is_refused(missing: bytes) -> None:
    async def check(server: Served) -> None:
        assert (await server.exchange(UPGRADE.replace(missing, b""))).startswith(b"HTTP/1.1 4")
        await expect_alive(server)

    with_server(check, websocket=True)
