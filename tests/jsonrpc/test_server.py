"""The server over loopback sockets, and what clients may do to it: whatever they do, it goes on answering."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from kroma_core.errors import ConfigError, DecodeError, NotFound
from kroma_core.jsonrpc.limits import Limits
from kroma_core.jsonrpc.server import HttpServer, Request, Response, Route, serve_http
from tests.jsonrpc.clients import Served, call, read_all, with_server

HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


async def expect_alive(server: Served) -> None:
    assert (await server.call("test_encoded"))["result"] == {"ready": "made"}


async def status_of(server: Served, *parts: bytes) -> int:
    answer = await server.exchange(*parts)
    return int(answer.split(b" ", 2)[1])


def test_calls_and_batches_are_answered_over_http() -> None:
    async def check(server: Served) -> None:
        assert (await server.call("test_echo", 1))["result"] == [1, None]
        answers = (await server.post([call("test_echo", 1), call("test_echo", 2)])).json()
        assert [answer["result"][0] for answer in answers] == [1, 2]

    with_server(check)


def test_many_requests_go_over_one_connection() -> None:
    async def check(server: Served) -> None:
        async with await server.raw() as stream:
            for _ in range(3):
                await stream.send_all(
                    HEAD + b'content-length: 50\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"test_encoded"  }'
                )
                answer = b""
                while b"made" not in answer:
                    answer += bytes(await stream.receive_some())
                assert answer.startswith(b"HTTP/1.1 200")

    with_server(check)


def test_requests_sent_at_once_on_one_connection_are_all_answered() -> None:
    async def check(server: Served) -> None:
        one = HEAD + b'content-length: 50\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"test_encoded"  }'
        last = one.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        assert (await server.exchange(one + one + last)).count(b"made") == 3

    with_server(check)


def test_a_chunked_body_is_read() -> None:
    async def check(server: Served) -> None:
        body = b'14\r\n{"jsonrpc":"2.0","id\r\n1c\r\n":1,"method":"test_encoded"}\r\n0\r\n\r\n'
        answer = await server.exchange(HEAD + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + body)
        assert b'"ready":"made"' in answer

    with_server(check)


def test_a_notification_gets_an_empty_answer() -> None:
    async def check(server: Served) -> None:
        response = await server.post({"jsonrpc": "2.0", "method": "test_encoded"})
        assert (response.status_code, response.content) == (200, b"")

    with_server(check)


def test_a_body_that_is_announced_too_large_is_refused_unread() -> None:
    async def check(server: Served) -> None:
        assert await status_of(server, HEAD + b"content-length: 99999999999999999999\r\n\r\n") == 413
        assert await status_of(server, HEAD + b"content-length: 5242881\r\n\r\n") == 413
        await expect_alive(server)

    with_server(check)


def test_a_body_that_grows_too_large_is_refused_on_the_way() -> None:
    async def check(server: Served) -> None:
        assert (await server.post(b" " * (5 << 20) + b" ")).status_code == 413
        chunks = [b"10000\r\n" + b" " * 65536 + b"\r\n"] * 3
        assert await status_of(server, HEAD + b"transfer-encoding: chunked\r\n\r\n", *chunks) == 413
        await expect_alive(server)

    with_server(check, limits=Limits(body=100_000))


def test_hostile_bodies_are_answered_with_errors() -> None:
    async def check(server: Served) -> None:
        assert (await server.post(b"[" * 1_000_000)).json()["error"]["code"] == -32700
        assert (await server.post(b'{"jsonrpc":"2.0","id":"\xff\xfe')).json()["error"]["code"] == -32700
        assert (await server.post([call("test_encoded")] * 10_000)).json()["error"]["code"] == -32600
        assert (await server.call("no_such_method"))["error"]["code"] == -32601
        assert (await server.call("test_echo"))["error"]["code"] == -32602
        await expect_alive(server)

    with_server(check)


@pytest.mark.parametrize(
    "request_text",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_not_http_is_refused(request_text: bytes) -> None:
    async def check(server: Served) -> None:
        assert 400 <= await status_of(server, request_text) < 500
        await expect_alive(server)

    with_server(check)


def test_whatever_bytes_arrive_the_server_goes_on() -> None:
    chance = random.Random(20)
    upgrade = b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    upgrade += b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    whole = HEAD + b'content-length: 48\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"test_encoded"}'

    async def check(server: Served) -> None:
        for _ in range(150):
            noise = chance.randbytes(chance.randrange(1, 200))
            changed = bytearray(chance.choice([whole, upgrade]))
            for _ in range(chance.randrange(1, 6)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            async with await server.raw() as stream:
                await stream.send_all(chance.choice([noise, bytes(changed), upgrade + noise, whole + noise]))
                with trio.move_on_after(0.01):
                    await stream.receive_some()
        await expect_alive(server)

    with_server(check, websocket=True)


def test_clients_that_leave_at_any_point_harm_nobody() -> None:
    whole = HEAD + b'content-length: 48\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"test_encoded"}'

    async def check(server: Served) -> None:
        for cut in range(0, len(whole) + 1, 7):
            async with await server.raw() as stream:
                await stream.send_all(whole[:cut] if cut else b"\r")
        await expect_alive(server)

    with_server(check)


def test_headers_that_trickle_in_are_not_waited_for_for_ever() -> None:
    async def check(server: Served) -> None:
        began = trio.current_time()
        assert await server.exchange(b"POST / HTTP/1.1\r\nhost: local") == b""
        assert trio.current_time() - began < 25
        await expect_alive(server)

    with_server(check, patient=False)


def test_a_body_that_trickles_in_is_not_waited_for_for_ever() -> None:
    async def check(server: Served) -> None:
        began = trio.current_time()
        assert await status_of(server, HEAD + b"content-length: 100\r\n\r\n{") == 408
        assert trio.current_time() - began < 25
        await expect_alive(server)

    with_server(check, patient=False)


def test_a_connection_without_requests_is_closed_in_the_end() -> None:
    async def check(server: Served) -> None:
        assert await server.exchange() == b""
        assert trio.current_time() >= 120

    with_server(check, patient=False)


def test_a_method_that_hangs_is_given_up_and_the_client_told() -> None:
    async def check(server: Served) -> None:
        body = b'{"jsonrpc":"2.0","id":1,"method":"test_stuck"}'
        answer = await server.exchange(HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        assert b"-32002" in answer

    with_server(check, patient=False)


def test_a_crowd_of_silent_connections_gives_way_to_one_that_asks() -> None:
    async def check(server: Served) -> None:
        silent = [await server.raw() for _ in range(20)]
        await silent[-1].send_all(b"POST / HT")
        await expect_alive(server)
        for stream in silent:
            await stream.aclose()

    with_server(check, limits=Limits(connections=5))


def test_a_crowd_with_requests_that_never_end_gives_way_to_one_that_asks() -> None:
    async def check(server: Served) -> None:
        begun = [await server.raw() for _ in range(20)]
        for stream in begun:
            await stream.send_all(HEAD + b"content-length: 100\r\n\r\n{")
        await expect_alive(server)
        for stream in begun:
            await stream.aclose()

    with_server(check, limits=Limits(connections=5))


def test_the_connection_that_has_been_silent_longest_gives_way() -> None:
    async def check(server: Served) -> list[bool]:
        silent = []
        for _ in range(3):
            silent.append(await server.raw())
            await trio.testing.wait_all_tasks_blocked(0.02)
        await expect_alive(server)
        ended = []
        for stream in silent:
            with trio.move_on_after(0.1) as waiting:
                await read_all(stream)
            ended.append(not waiting.cancelled_caught)
            await stream.aclose()
        return ended

    assert with_server(check, limits=Limits(connections=3)) == [True, False, False]


def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async def large(request: Request) -> Response:
        return Response(body=b"x" * (16 << 20))

    async def check(server: Served) -> None:
        async with await server.raw() as stream:
            await stream.send_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await trio.sleep(31)
            assert len(await read_all(stream)) < 16 << 20
        await expect_alive(server)

    with_server(check, patient=False, routes=[Route("GET", "/large", large)])


def test_the_server_ends_at_once_although_clients_hold_on() -> None:
    async def large(request: Request) -> Response:
        return Response(body=b"x" * (16 << 20))

    async def check(server: Served) -> list[trio.SocketStream]:
        streams = [await server.raw() for _ in range(3)]
        await streams[0].send_all(b"GET / HT")
        await streams[1].send_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.05)
        return streams

    began = time.perf_counter()
    with_server(check, routes=[Route("GET", "/large", large)])
    assert time.perf_counter() - began < 3


def test_a_port_in_use_is_named_with_its_table() -> None:
    async def check(server: Served) -> None:
        with pytest.raises(ConfigError, match=rf"\[metrics\] port: cannot listen on 127.0.0.1:{server.port}: another"):
            await serve_http(HttpServer(table="metrics"), host="127.0.0.1", port=server.port)

    with_server(check)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[rpc\] port: cannot listen on 192.0.2.1:0"):
        trio.run(lambda: serve_http(HttpServer(table="rpc"), host="192.0.2.1", port=0))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost:9545", 200),
        (b"127.0.0.1:9545", 200),
        (b"[::1]:9545", 200),
        (b"rebound.example", 403),
        (b"localhost.example", 403),
        (b"[::1", 403),
    ],
)
def test_the_host_header_has_to_name_the_server(host: bytes, status: int) -> None:
    async def check(server: Served) -> None:
        assert await status_of(server, b"GET / HTTP/1.1\r\nconnection: close\r\nhost: " + host + b"\r\n\r\n") == status

    with_server(check)


def test_any_host_passes_where_the_operator_says_so() -> None:
    async def check(server: Served) -> None:
        assert (await server.post(call("test_encoded"), host="op-node:9545")).status_code == 200

    with_server(check, hosts=frozenset({"*"}))


def test_pages_of_the_web_are_refused_unless_allowed() -> None:
    async def check(server: Served) -> None:
        assert (await server.post(call("test_encoded"), origin="https://evil.example")).status_code == 403
        allowed = await server.post(call("test_encoded"), origin="https://app.example")
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"

    with_server(check, origins=frozenset({"https://app.example"}))


def test_a_browser_that_asks_first_is_told_what_it_may() -> None:
    async def check(server: Served) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            found = await client.options(server.url, headers={"origin": "https://app.example"})
            assert found.headers["access-control-allow-methods"] == "POST, GET"
            assert (await client.options(server.url, headers={"origin": "https://evil.example"})).status_code == 403

    with_server(check, origins=frozenset({"https://app.example"}))


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_refused(kind: str) -> None:
    async def check(server: Served) -> None:
        assert (await server.post(call("test_encoded"), **{"content-type": kind})).status_code == 415

    with_server(check)


def test_who_is_not_authorised_is_refused_before_the_body_is_read() -> None:
    def authorise(headers: Mapping[str, str]) -> str | None:
        return None if headers.get("authorization") == "Bearer good" else "missing token"

    async def check(server: Served) -> None:
        assert await status_of(server, HEAD + b"content-length: 100\r\n\r\n") == 401
        assert (await server.post(call("test_encoded"), authorization="Bearer good")).status_code == 200

    with_server(check, authorise=authorise)


async def _greet(request: Request) -> Response:
    if request.named["name"] == "nobody":
        raise DecodeError("name: expected somebody")
    if request.named["name"] == "nowhere":
        raise NotFound("nobody lives there")
    if request.named["name"] == "broken":
        raise KeyError("broken")
    return Response.json({"name": request.named["name"], "twice": request.query.get("n")})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/greet/a%20b?n=1&n=2", 200),
        ("HEAD", "/greet/anna", 200),
        ("POST", "/greet/anna", 405),
        ("GET", "/greet/nobody", 400),
        ("GET", "/greet/nowhere", 404),
        ("GET", "/greet/broken", 500),
        ("GET", "/greet/a/b", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/", 405),
        ("GET", "/", 200),
    ],
)
def test_routes_answer_their_paths(method: str, path: str, status: int) -> None:
    async def check(server: Served) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.request(method, server.url + path)

    response = with_server(check, routes=[Route("GET", "/greet/{name}", _greet)])
    assert response.status_code == status
    if path.startswith("/greet/a%20b"):
        assert response.json() == {"name": "a b", "twice": ["1", "2"]}


def test_a_mistake_in_a_route_is_told_with_its_place() -> None:
    async def check(server: Served) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert "test_server.py" not in (await client.get(server.url + "/greet/broken")).text
        assert ["test_server.py" in event.error for event in server.events] == [True]  # type: ignore[union-attr]  # the only kind there is

    with_server(check, routes=[Route("GET", "/greet/{name}", _greet)])
