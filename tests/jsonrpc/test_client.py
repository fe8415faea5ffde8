"""Asking a JSON-RPC server: what an answer is, and what is none."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from kroma_core.errors import ConfigError, TemporaryError
from kroma_core.events import Event, RequestAnswered
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Unusable, result_of, results_of
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.errors import Failure, NoAnswer, RpcError
from kroma_core.jsonrpc.http_answer import retry_after
from kroma_core.testing.rpc_node import Body, Cut, Error, Fault, Hang, RpcNode, Status
from kroma_core.testing.scripted_l1 import ScriptedL1

Test = Callable[[Client, RpcNode], Awaitable[None]]


@asynccontextmanager
async def asking(node: RpcNode, *, websocket: bool = False, **settings: Any) -> AsyncIterator[Client]:
    async with BackgroundTasks() as nursery:
        url = await nursery.start(node.serve_websocket if websocket else node.serve)
        async with open_client(url, part="test", **settings) as client:
            yield client


def ask(body: Test, *, websocket: bool = False, node: RpcNode | None = None, **settings: Any) -> RpcNode:
    """Run `body` with a client of a node that shows a short L1."""
    l1 = ScriptedL1()
    l1.mine_empty(3)
    shown = node or RpcNode(l1=l1)

    async def main() -> None:
        with trio.fail_after(20):
            async with asking(shown, websocket=websocket, **settings) as client:
                await body(client, shown)

    trio.run(main)
    return shown


def always(fault: Fault | None) -> Callable[[str, Sequence[Any]], Fault | None]:
    return lambda method, params: fault


BOTH = pytest.mark.parametrize("websocket", [False, True], ids=["http", "websocket"])


@BOTH
def test_a_call_is_answered_with_its_result_and_an_error_object_is_raised(websocket: bool) -> None:
    async def body(client: Client, node: RpcNode) -> None:
        assert await client.call("eth_chainId") == "0x384"
        with pytest.raises(RpcError) as caught:
            await client.call("eth_nothing", 1)
        assert (caught.value.code, "does not exist" in caught.value.message) == (-32601, True)

    ask(body, websocket=websocket)


@BOTH
def test_a_batch_has_each_result_in_its_place_errors_among_them(websocket: bool) -> None:
    async def body(client: Client, node: RpcNode) -> None:
        chain, nothing, block = await client.batch(
            [("eth_chainId", ()), ("eth_nothing", ()), ("eth_getBlockByNumber", ("0x2", False))]
        )
        assert chain == "0x384"
        assert isinstance(nothing, RpcError)
        assert block["number"] == "0x2"
        assert await client.batch([]) == []

    assert ask(body, websocket=websocket).requests == [3]


def test_answers_are_matched_by_id_in_any_order() -> None:
    answers = [{"id": number, "result": number} for number in (9, 7, 8)]
    assert results_of(answers, 7, 3) == [7, 8, 9]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([{"id": 7, "result": 1}], "expected 2 answers, got 1: none to id 8"),
        ([{"id": 7, "result": 1}, {"id": 7, "result": 2}], "two answers to id 7"),
        ([{"id": 7, "result": 1}, {"id": 9, "result": 2}], "expected ids 7 to 8, got 9"),
        ([{"id": 7, "result": 1}, {"id": "8", "result": 2}], "expected ids 7 to 8, got '8'"),
        ([{"id": 7, "result": 1}, {"id": True, "result": 2}], "expected ids 7 to 8, got True"),
        ([{"id": 7, "result": 1}, {"id": 8}], "expected a result or an error"),
        ([{"id": 7, "result": 1}, {"id": 8, "error": "no"}], "expected an error object, got a text"),
        ([{"id": 7, "result": 1}, 8], "expected a list of objects, got a number"),
        ({"id": 7, "result": 1}, "expected a list of 2 answers, got an object"),
        (None, "expected a list of 2 answers, got null"),
    ],
)
def test_an_answer_to_a_batch_that_is_none_is_refused(answer: Any, text: str) -> None:
    with pytest.raises(Unusable) as caught:
        results_of(answer, 7, 2)
    assert text in str(caught.value)


def test_a_batch_that_is_refused_as_a_whole_has_that_error_everywhere() -> None:
    first, second = results_of({"id": None, "error": {"code": -32600, "message": "too large"}}, 1, 2)
    assert first is second
    assert (first.code, first.message) == (-32600, "too large")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"id": 2, "result": 1}, "expected the answer to id 1, got one to 2"),
        ({"id": None, "result": 1}, "expected the answer to id 1, got one to None"),
        ([{"id": 1, "result": 1}], "expected an object, got a list"),
        ("hello", "expected an object, got a text"),
    ],
)
def test_an_answer_to_a_call_that_is_none_is_refused(answer: Any, text: str) -> None:
    with pytest.raises(Unusable) as caught:
        result_of(answer, 1)
    assert text in str(caught.value)


@pytest.mark.parametrize("error", [{}, {"code": "x", "message": 5}, {"code": 1, "message": "m" * 100_000}])
def test_an_odd_error_object_is_still_an_error(error: Any) -> None:
    found = result_of({"id": 1, "error": error}, 1)
    assert isinstance(found, RpcError)
    assert len(str(found)) < 1100


FAULTS: list[tuple[Fault, Failure, str]] = [
    (Status(500), Failure.STATUS, "expected HTTP status 200, got 500: no"),
    (Status(401, body="missing token"), Failure.STATUS, "got 401: missing token"),
    (Status(301), Failure.STATUS, "got 301"),
    (Status(429), Failure.RATE_LIMITED, "got 429"),
    (Hang(), Failure.TIMEOUT, "no answer within 0.2 s"),
    (Cut(), Failure.MALFORMED, "expected JSON, got"),
    (Cut(connection=True), Failure.UNREACHABLE, "peer closed connection"),
    (Body(b""), Failure.MALFORMED, "expected JSON, got 0 bytes"),
    (Body(b"\xff\xfe"), Failure.MALFORMED, "expected JSON"),
    (Body(b"[" * 2_000), Failure.MALFORMED, "expected JSON"),
    (Body(b"[]"), Failure.MALFORMED, "expected an object, got a list"),
    (Body(b'{"id":77,"result":1}'), Failure.MALFORMED, "got one to 77"),
    (Body(b'"' + b"x" * 5000 + b'"'), Failure.TOO_LARGE, "at most 4000 bytes"),
]


@pytest.mark.parametrize(("fault", "failure", "text"), FAULTS, ids=[str(fault)[:30] for fault, _, _ in FAULTS])
def test_what_is_no_answer_is_a_temporary_error_that_names_server_and_method(
    fault: Fault, failure: Failure, text: str
) -> None:
    events: list[Event] = []

    async def body(client: Client, node: RpcNode) -> None:
        node.plant = always(fault)
        with pytest.raises(NoAnswer) as caught:
            await client.call("eth_chainId")
        error = caught.value
        assert isinstance(error, TemporaryError)
        assert error.failure is failure
        assert text in str(error)
        assert str(error).startswith(f"eth_chainId of {client.server}: ")
        [event] = events
        assert isinstance(event, RequestAnswered)
        assert (event.part, event.server, event.outcome) == ("test", client.server, failure.value)
        node.plant = always(None)
        if failure is not Failure.RATE_LIMITED:
            assert await client.call("eth_chainId") == "0x384"

    ask(body, emit=events.append, timeout=0.2, max_bytes=4000)


@pytest.mark.parametrize("fault", [Hang(), Cut()], ids=["hang", "closed"])
def test_a_websocket_that_breaks_or_is_silent_is_made_anew(fault: Fault) -> None:
    async def body(client: Client, node: RpcNode) -> None:
        assert await client.call("eth_chainId") == "0x384"
        node.plant = always(fault)
        with pytest.raises(NoAnswer):
            await client.call("eth_chainId")
        node.plant = always(None)
        assert await client.call("eth_chainId") == "0x384"

    ask(body, websocket=True, timeout=0.2)


def test_answers_over_a_websocket_find_who_asked() -> None:
    async def body(client: Client, node: RpcNode) -> None:
        found: dict[int, int] = {}

        async def one(number: int) -> None:
            block = await client.call("eth_getBlockByNumber", hex(number % 4), False)
            found[number] = int(block["number"], 16)

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(one, number)
        assert found == {number: number % 4 for number in range(40)}

    ask(body, websocket=True)


@BOTH
def test_cancelling_one_question_leaves_the_others_alone(websocket: bool) -> None:
    async def body(client: Client, node: RpcNode) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.call("eth_chainId")
        assert scope.cancelled_caught
        assert await client.call("eth_chainId") == "0x384"

    ask(body, websocket=websocket)


def test_a_subscription_has_what_the_server_sends_and_ends_with_the_connection() -> None:
    async def body(client: Client, node: RpcNode) -> None:
        assert client.pushes
        heads = client.subscribe("newHeads")
        assert (await anext(heads))["number"] == "0x3"
        node.l1.mine()
        assert (await anext(heads))["number"] == "0x4"
        node.plant = always(Cut())
        with pytest.raises(NoAnswer):
            await client.call("eth_chainId")
        with pytest.raises(NoAnswer, match="eth_subscribe"):
            await anext(heads)

    ask(body, websocket=True)


def test_a_subscription_over_http_is_refused() -> None:
    async def body(client: Client, node: RpcNode) -> None:
        assert not client.pushes
        with pytest.raises(NoAnswer, match="over HTTP"):
            await anext(client.subscribe("newHeads"))

    ask(body)


def test_nobody_listening_is_a_temporary_error() -> None:
    async def main() -> None:
        for scheme in ("http", "https", "ws"):
            async with open_client(f"{scheme}://127.0.0.1:1", part="test") as client:
                with pytest.raises(NoAnswer, match=r"127\.0\.0\.1:1: .*connect") as caught:
                    await client.call("eth_chainId")
                assert caught.value.failure is Failure.UNREACHABLE

    trio.run(main)


def test_after_a_rate_limit_nothing_is_sent_until_it_is_over() -> None:
    node = RpcNode(l1=ScriptedL1(), plant=always(Status(429, headers={"retry-after": "1"})))

    async def body(client: Client, node: RpcNode) -> None:
        with pytest.raises(NoAnswer) as first:
            await client.call("eth_chainId")
        assert first.value.retry_after == 1.0
        node.plant = always(None)
        sent = len(node.requests)
        with pytest.raises(NoAnswer) as second:
            await client.batch([("eth_chainId", ())])
        assert second.value.failure is Failure.RATE_LIMITED
        assert second.value.retry_after is not None
        assert len(node.requests) == sent
        await trio.sleep(second.value.retry_after)
        assert await client.call("eth_chainId") == "0x384"

    ask(body, node=node)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999", 300.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, 1000.0) == seconds


def test_headers_are_asked_for_at_each_request() -> None:
    seen: list[str] = []

    async def main() -> None:
        async def answer(stream: trio.SocketStream) -> None:
            seen.append((await stream.receive_some()).decode())
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 21\r\nconnection: close\r\n\r\n" + answers.pop())

        answers = [b'{"id":2,"result":"b"}', b'{"id":1,"result":"a"}']
        tokens = iter(["first", "second"])
        async with BackgroundTasks() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
            port = listener.socket.getsockname()[1]
            url = f"http://alice:s%40crt@127.0.0.1:{port}/v3/key?x=1"
            async with open_client(url, part="test", headers=lambda: {"x-token": next(tokens)}) as client:
                assert [await client.call("a"), await client.call("b")] == ["a", "b"]

    trio.run(main)
    assert [line for request in seen for line in request.splitlines() if line.startswith("x-token")] == [
        "x-token: first",
        "x-token: second",
    ]
    assert all(request.startswith("POST /v3/key?x=1 HTTP/1.1\r\n") for request in seen)
    assert all(
        "authorization: Basic YWxpY2U6c0BjcnQ=" in request.lower() or "Basic YWxpY2U6c0BjcnQ=" in request
        for request in seen
    )


@pytest.mark.parametrize(
    ("url", "name", "connect"),
    [
        ("http://h", "http://h:80", "http://h:80/"),
        ("HTTPS://user:pw@h/v3/KEY", "https://h:443", "https://h:443/v3/KEY"),
        ("ws://[::1]:8546/?a=b", "ws://[::1]:8546", "ws://[::1]:8546/?a=b"),
    ],
)
def test_a_server_is_named_by_scheme_host_and_port_alone(url: str, name: str, connect: str) -> None:
    address = ServerAddress.parse(url)
    assert (address.name, address.url) == (name, connect)
    assert "KEY" not in repr(address)
    assert "pw" not in repr(address)


@pytest.mark.parametrize("url", ["", "h", "ftp://secret@h", "http://", "http://secret h/", "http://h:secret", "x" * 99])
def test_what_is_no_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="URL of a server") as caught:
        ServerAddress.parse(url)
    assert "secret" not in str(caught.value)


def test_what_a_server_says_is_shown_short_and_without_the_urls_secrets() -> None:
    address = ServerAddress.parse("https://h/v3/0123456789abcdef?key=swordfish99")
    assert address.censored("bad project 0123456789abcdef\nor key swordfish99") == "bad project *** or key ***"
    assert len(address.censored("x" * 5000)) == 203


def test_errors_cross_to_another_process() -> None:
    error = NoAnswer(server="http://h:1", method="m", failure=Failure.TIMEOUT, reason="r", retry_after=2.0)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.failure, again.retry_after) == (str(error), error.failure, 2.0)
    refused = pickle.loads(pickle.dumps(RpcError(3, "reverted", "0x")))
    assert (refused.code, refused.message, refused.data) == (3, "reverted", "0x")


def test_an_error_of_the_block_is_not_wrapped_and_one_of_a_task_ends_the_block() -> None:
    async def failing() -> None:
        raise ValueError("task")

    async def failing_block() -> None:
        raise KeyError("block")

    async def beside(task: Callable[[], Awaitable[None]], block: Callable[[], Awaitable[None]]) -> None:
        async with BackgroundTasks() as nursery:
            nursery.start_soon(task)
            await block()

    async def main() -> None:
        with pytest.raises(KeyError):
            await beside(trio.sleep_forever, failing_block)
        with pytest.raises(ExceptionGroup):
            await beside(failing, trio.sleep_forever)

    trio.run(main)


def test_an_error_object_in_a_batch_counts_as_answered() -> None:
    events: list[RequestAnswered] = []

    async def body(client: Client, node: RpcNode) -> None:
        node.plant = lambda method, params: Error(3) if method == "eth_nothing" else None
        await client.batch([("eth_chainId", ()), ("eth_nothing", ()), ("eth_chainId", ())])

    ask(body, emit=events.append)
    assert {(event.method, event.count, event.outcome) for event in events} == {
        ("eth_chainId", 2, "ok"),
        ("eth_nothing", 1, "ok"),
    }


def test_the_answer_is_taken_as_it_comes_in_pieces() -> None:
    large = orjson.dumps({"id": 1, "result": "x" * 300_000})

    async def body(client: Client, node: RpcNode) -> None:
        node.plant = always(Body(large))
        assert len(await client.call("a")) == 300_000

    ask(body)
