"""What changes while the server runs: the head, the pool, filters and subscribers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import orjson
import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Receipt
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.l2 import Payload
from tests.eth_rpc.worlds import World, on_world


async def refusal(world: World, method: str, *params: Any) -> RpcError:
    with pytest.raises(RpcError) as raised:
        await world.client.call(method, *params)
    return raised.value


async def other_block(world: World) -> Payload:
    """A block beside the last one."""
    last = world.blocks[-1]
    attributes = attrs.evolve(last.attributes, prev_randao=b"\x07" * 32)
    return await world.build(last.payload.parent_hash, attributes)


def with_logs(world: World) -> int:
    """How many logs the last block has."""
    return sum(len(Receipt.decode(raw).logs) for raw in world.blocks[-1].receipts)


def test_block_filter_tells_of_blocks_that_came_since() -> None:
    async def body(world: World) -> None:
        await world.move_to(world.blocks[4].hash)
        name = await world.client.call("eth_newBlockFilter")
        assert await world.client.call("eth_getFilterChanges", name) == []
        await world.move_to(world.blocks[6].hash)
        expected = [to_data(block.hash) for block in world.blocks[5:7]]
        assert await world.client.call("eth_getFilterChanges", name) == expected
        assert await world.client.call("eth_getFilterChanges", name) == []

    on_world(body)


def test_log_filter_tells_of_logs_that_a_reorganisation_took_away() -> None:
    async def body(world: World) -> None:
        await world.move_to(world.blocks[6].hash)
        other = await other_block(world)
        name = await world.client.call("eth_newFilter", {})
        await world.move_to(world.blocks[7].hash)
        came = await world.client.call("eth_getFilterChanges", name)
        assert len(came) == with_logs(world) > 0
        assert not any(log["removed"] for log in came)
        await world.adopt(other)
        changed = await world.client.call("eth_getFilterChanges", name)
        assert [log for log in changed if log["removed"]] == [{**log, "removed": True} for log in came]
        assert {log["blockHash"] for log in changed if not log["removed"]} == {to_data(other.hash)}

    on_world(body)


def test_transactions_of_a_block_that_was_left_are_found_again_in_its_replacement() -> None:
    async def body(world: World) -> None:
        name = to_data(keccak256(world.blocks[-1].payload.transactions[-1]))
        assert (await world.client.call("eth_getTransactionByHash", name))["blockHash"] == to_data(
            world.blocks[-1].hash
        )
        other = await other_block(world)
        await world.adopt(other)
        assert (await world.client.call("eth_getTransactionReceipt", name))["blockHash"] == to_data(other.hash)
        await world.move_to(world.blocks[-2].hash)
        assert await world.client.call("eth_getTransactionReceipt", name) is None

    on_world(body)


def test_filter_that_is_uninstalled_is_gone() -> None:
    async def body(world: World) -> None:
        name = await world.client.call("eth_newBlockFilter")
        assert await world.client.call("eth_uninstallFilter", name) is True
        assert await world.client.call("eth_uninstallFilter", name) is False
        assert "filter not found" in (await refusal(world, "eth_getFilterChanges", name)).message

    on_world(body)


def test_too_many_filters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kroma_core.node.eth.filter_methods.MOST_FILTERS", 2)

    async def body(world: World) -> None:
        for _ in range(2):
            await world.client.call("eth_newBlockFilter")
        assert (await refusal(world, "eth_newBlockFilter")).code == Code.LIMIT_EXCEEDED

    on_world(body)


def test_search_through_too_many_blocks_or_with_too_many_results_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        whole = {"fromBlock": "earliest", "toBlock": "latest"}
        monkeypatch.setattr("kroma_core.node.eth.logs.MOST_BLOCKS", 5)
        assert "maximum block range" in (await refusal(world, "eth_getLogs", whole)).message
        monkeypatch.setattr("kroma_core.node.eth.logs.MOST_BLOCKS", 50)
        monkeypatch.setattr("kroma_core.node.eth.logs.MOST_LOGS", 1)
        assert "more than 1 results" in (await refusal(world, "eth_getLogs", whole)).message

    on_world(body)


def test_subscriptions_need_a_connection_that_stays() -> None:
    async def body(world: World) -> None:
        assert "notifications not supported" in (await refusal(world, "eth_subscribe", "newHeads")).message

    on_world(body)


def test_call_that_never_ends_is_stopped_and_others_are_answered_meanwhile() -> None:
    async def body(world: World) -> None:
        target = "0x" + "c0" * 20
        endless = {target: {"code": "0x5b600056"}}

        async def call() -> None:
            error = await refusal(world, "eth_call", {"to": target, "gas": hex(10**9)}, "latest", endless)
            assert error.message == "execution aborted (timeout = 0.3s)"
            ended.set()

        ended = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await world.client.call("eth_blockNumber")
            assert not ended.is_set()
            await ended.wait()

    on_world(body, call_seconds=0.3)


# --- over a WebSocket


@asynccontextmanager
async def socket_of(world: World) -> AsyncIterator[WebSocketConnection]:
    async with open_websocket_url(world.socket_url) as socket:
        yield socket


async def ask(socket: WebSocketConnection, method: str, *params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    await socket.send_message(orjson.dumps(request).decode())
    answer = orjson.loads(await socket.get_message())
    return answer.get("result", answer.get("error"))


async def told(socket: WebSocketConnection, name: str) -> Any:
    message = orjson.loads(await socket.get_message())
    assert (message["method"], message["params"]["subscription"]) == ("eth_subscription", name)
    return message["params"]["result"]


def test_subscriber_to_heads_is_told_of_each_block() -> None:
    async def body(world: World) -> None:
        await world.move_to(world.blocks[4].hash)
        async with socket_of(world) as socket:
            name = await ask(socket, "eth_subscribe", "newHeads")
            await world.move_to(world.blocks[6].hash)
            for block in world.blocks[5:7]:
                head = await told(socket, name)
                assert (head["hash"], head["number"]) == (to_data(block.hash), hex(block.payload.number))
                assert "transactions" not in head
            assert await ask(socket, "eth_unsubscribe", name) is True
            assert (await ask(socket, "eth_unsubscribe", name))["message"] == "subscription not found"

    on_world(body)


def test_subscriber_to_logs_is_told_what_a_reorganisation_removed_before_what_it_brought() -> None:
    async def body(world: World) -> None:
        other = await other_block(world)
        count = with_logs(world)
        async with socket_of(world) as socket:
            name = await ask(socket, "eth_subscribe", "logs", {"topics": []})
            await world.adopt(other)
            assert [(await told(socket, name))["removed"] for _ in range(2 * count)] == [True] * count + [False] * count

    on_world(body)


def test_unknown_subscription_is_refused() -> None:
    async def body(world: World) -> None:
        async with socket_of(world) as socket:
            assert (await ask(socket, "eth_subscribe", "weather"))["code"] == Code.METHOD_NOT_FOUND
            assert (await ask(socket, "eth_subscribe", "logs", {"address": "0x12"}))["code"] == Code.INVALID_PARAMS

    on_world(body)


def test_trace_of_a_thousand_nested_calls_is_answered() -> None:
    async def body(world: World) -> None:
        target = "0x" + "c0" * 20
        calls_itself = {target: {"code": "0x5f5f5f5f5f305af100"}}
        params = [{"to": target, "gas": hex(10**9)}, "latest", {"stateOverrides": calls_itself, "tracer": "callTracer"}]
        request = {"jsonrpc": "2.0", "id": 1, "method": "debug_traceCall", "params": params}
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.post(world.url, json=request)).text
        levels = text.count('"calls":[')
        assert levels > 400
        assert text.count('"type":"CALL"') == levels + 1

    on_world(body)


def test_trace_that_would_fill_the_memory_is_refused() -> None:
    async def body(world: World) -> None:
        target = "0x" + "c0" * 20
        grows = {target: {"code": "0x5b595952600056"}}
        options = {"stateOverrides": grows, "enableMemory": True}
        error = await refusal(world, "debug_traceCall", {"to": target, "gas": hex(10**7)}, "latest", options)
        assert "too long" in error.message

    on_world(body)
