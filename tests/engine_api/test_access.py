"""Who may use the port, what it does not know, and callers that give up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kroma_core.api import Port
from kroma_core.errors import ConfigError, CriticalError
from kroma_core.events import RequestServed
from kroma_core.jsonrpc.client import open_client
from kroma_core.jsonrpc.jwt import JwtSecret
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.authrpc.writes import Writes
from kroma_core.node.profile import AuthRpcTable
from tests.engine_api.worlds import World, opened_engine, recorded, run, view_of

REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "engine_exchangeCapabilities", "params": [[]]}


@pytest.mark.parametrize("seconds", [-70, 70])
def test_a_token_of_another_time_is_refused(seconds: int, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        token = world.secret.token(time.time() + seconds)
        assert (await _posted(world, f"Bearer {token}")).status_code == 401

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer abc", "Basic abc"])
def test_without_a_proper_token_nothing_is_answered(header: str | None, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        response = await _posted(world, header)
        assert response.status_code == 401
        assert b"result" not in response.content

    run("plain-jovian", tmp_path, body)


def test_a_token_of_another_secret_is_refused_and_the_port_goes_on(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        other = JwtSecret(bytes(32))
        assert (await _posted(world, f"Bearer {other.token(time.time())}")).status_code == 401
        assert (await _posted(world, f"Bearer {world.secret.token(time.time())}")).status_code == 200

    run("plain-jovian", tmp_path, body)


def test_the_secret_is_made_where_there_is_none_for_its_owner_alone(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert (tmp_path / "jwt.txt").stat().st_mode & 0o777 == 0o600
        assert len((tmp_path / "jwt.txt").read_text().strip()) == 66

    run("plain-jovian", tmp_path, body)


def test_it_answers_over_a_websocket_too(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        def headers() -> dict[str, str]:
            return {"authorization": f"Bearer {world.secret.token(time.time())}"}

        url = f"ws://{world.address[0]}:{world.address[1]}"
        async with open_client(url, part="test", headers=headers) as client:
            assert "engine_newPayloadV4" in await client.call("engine_exchangeCapabilities", [])

    run("plain-jovian", tmp_path, body)


@pytest.mark.parametrize(
    "method",
    ["engine_newPayloadV5", "engine_newPayloadV0", "engine_forkchoiceUpdatedV4", "engine_getPayloadV6", "engine_x"],
)
def test_versions_that_there_are_not_are_unknown_methods(method: str, tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert await world.error(method, {}) == -32601

    run("plain-jovian", tmp_path, body)


def test_observers_are_told_of_calls(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.new_payload(1)
        served = [event for event in world.events if isinstance(event, RequestServed)]
        assert [(event.server, event.method, event.outcome) for event in served] == [
            ("authrpc", "engine_newPayloadV4", "ok")
        ]

    run("plain-jovian", tmp_path, body)


def test_a_port_in_use_is_told_with_its_table(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        view = view_of(world.engine, world.chain, tmp_path)
        with pytest.raises(ConfigError, match=r"\[authrpc\] port: cannot listen on 127.0.0.1"):
            await serve_authrpc(AuthRpcTable(port=Port(world.address[1])), view)

    run("plain-jovian", tmp_path, body)


def test_a_block_whose_caller_has_gone_is_executed_all_the_same(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        with trio.move_on_after(0.001):
            await world.new_payload(1)
        with trio.fail_after(10):
            while (await world.forkchoice(world.hash(1)))["payloadStatus"]["status"] != "VALID":
                await world.new_payload(1)
        assert await world.head() == 1

    run("plain-jovian", tmp_path, body)


def test_calls_of_the_engine_take_turns_and_are_finished_though_nobody_waits() -> None:
    log: list[str] = []

    async def main() -> None:
        writes = Writes()
        may_end = trio.Event()

        async def slow() -> None:
            log.append("slow begins")
            await may_end.wait()
            log.append("slow ends")

        async def quick() -> str:
            log.append("quick")
            return "answer"

        async def impatient(scope: trio.CancelScope) -> None:
            with scope:
                await writes.do(slow)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(writes.run)
            scope = trio.CancelScope()
            nursery.start_soon(impatient, scope)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            may_end.set()
            assert await writes.do(quick) == "answer"
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert log == ["slow begins", "slow ends", "quick"]


def test_an_engine_that_is_broken_ends_the_port(tmp_path: Path) -> None:
    chain, _ = recorded("plain-jovian")

    async def main() -> None:
        async with opened_engine(chain, tmp_path) as engine:

            async def broken(block: Any) -> Any:
                raise CriticalError("the disk is full")

            engine.block = broken  # type: ignore[method-assign]
            secret = JwtSecret.read_or_make(tmp_path / "jwt.txt")
            view = view_of(engine, chain, tmp_path)
            async with trio.open_nursery() as nursery:
                address = await nursery.start(serve_authrpc, AuthRpcTable(port=Port(0)), view)
                zero = "0x" + bytes(32).hex()
                state = {"headBlockHash": "0x" + bytes(31).hex() + "01", "safeBlockHash": zero}
                url = f"http://{address[0]}:{address[1]}"
                headers = {"authorization": f"Bearer {secret.token(time.time())}"}
                async with open_client(url, part="test", headers=lambda: headers) as client:
                    await client.call("engine_forkchoiceUpdatedV3", state)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)
    assert caught.group_contains(CriticalError, match="the disk is full")


async def _posted(world: World, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"http://{world.address[0]}:{world.address[1]}", json=REQUEST, headers=headers)
