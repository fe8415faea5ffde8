"""Reaching an engine: refused, replaced, restarted, another chain's, another secret, a clock that is off."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from kroma_engine_rpc.engine import RpcEngine
from kroma_engine_rpc.offers import EngineSettings, check

from kroma_core.api import Applied
from kroma_core.errors import ConfigError, CriticalError, TemporaryError
from kroma_core.events import Event, RequestAnswered, Retrying
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.types import L2Number

from .engine_side import SECRET, EngineSide, connected, run


def bounded(main: Any) -> None:
    async def limited() -> None:
        with trio.fail_after(30):
            await main()

    trio.run(limited)


def refusal(side: EngineSide, folder: Path, **settings: Any) -> ConfigError:
    """What opening is refused with."""

    async def body(engine: RpcEngine) -> None:
        raise AssertionError("it opened")

    with pytest.raises(ConfigError) as refused:
        run(side, body, folder, **settings)
    return refused.value


def test_an_engine_of_another_chain_is_refused_by_both_names(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["eth_chainId"] = "0x1"
    side.blocks[0] = {**side.blocks[0], "hash": "0x" + "11" * 32}
    first, second = refusal(side, tmp_path).problems
    assert "its chain id is 1, the rollup's is " + str(side.chain.rollup.l2_chain_id) in first
    assert f"its block 0 is 0x{'11' * 32}, the rollup begins at 0x{side.genesis.hex()}" in second


def test_an_engine_without_genesis_is_refused(tmp_path: Path) -> None:
    side = EngineSide()
    side.blocks = side.blocks[1:]
    assert "its block 0 is missing" in str(refusal(side, tmp_path))


def test_every_method_that_the_engine_lacks_is_named(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_exchangeCapabilities"] = ["engine_newPayloadV4"]
    said = [problem.split("lacks ")[1].split(",")[0] for problem in refusal(side, tmp_path).problems]
    assert said == ["engine_forkchoiceUpdatedV3", "engine_getPayloadV4"]


def test_an_engine_that_does_not_tell_its_methods_is_taken(tmp_path: Path) -> None:
    side = EngineSide()
    side.answers["engine_exchangeCapabilities"] = RpcError(-32601, "the method does not exist")

    async def body(engine: RpcEngine) -> None:
        assert (await engine.block(L2Number(0))).hash == side.genesis

    run(side, body, tmp_path)


def test_another_secret_is_refused_with_the_name_of_its_file(tmp_path: Path) -> None:
    side = EngineSide()
    side.secret = "11" * 32
    said = str(refusal(side, tmp_path))
    assert "401" in said
    assert str(tmp_path / "jwt.txt") in said
    assert SECRET not in said


def test_a_clock_that_is_off_is_waited_for(tmp_path: Path) -> None:
    side = EngineSide()
    side.clock = lambda: time.time() + 3600
    events: list[Event] = []

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(TemporaryError, match="may differ by at most 60 s"):
            await engine.heads()
        side.clock = time.time
        assert (await engine.heads()).safe == side.genesis

    run(side, body, tmp_path, events=events)
    assert any(isinstance(event, Retrying) for event in events)


def test_a_missing_secret_is_made_and_the_engine_can_be_given_it(tmp_path: Path) -> None:
    side, path = EngineSide(), tmp_path / "new" / "jwt.txt"

    async def main() -> None:
        async with side.serving() as port:
            with pytest.raises(ConfigError, match="401"):
                async with connected(side, port, tmp_path, jwt_secret=path):
                    pass
            side.secret = path.read_text()
            async with connected(side, port, tmp_path, jwt_secret=path) as engine:
                assert (await engine.heads()).safe == side.genesis

    bounded(main)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_engine_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    side = EngineSide()

    async def main() -> None:
        async with side.serving() as port:
            pass
        async with connected(side, port, tmp_path) as engine:
            with pytest.raises(TemporaryError):
                await engine.heads()
            async with side.serving(port):
                assert (await engine.heads()).safe == side.genesis

    bounded(main)


def test_an_engine_that_restarts_goes_on_after_it_was_looked_at_again(tmp_path: Path) -> None:
    side = EngineSide()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            port = await nursery.start(_serve, side, 0, scope)
            async with connected(side, port, tmp_path) as engine:
                assert await engine.set_heads(side.at_genesis()) == Applied()
                scope.cancel()
                with pytest.raises(TemporaryError):
                    await engine.set_heads(side.at_genesis())
                side.calls.clear()
                async with side.serving(port):
                    assert await engine.set_heads(side.at_genesis()) == Applied()

    bounded(main)
    assert next(method for method, _ in side.calls) == "eth_chainId"


def test_an_engine_that_was_replaced_by_another_chains_is_not_written_to(tmp_path: Path) -> None:
    side, other = EngineSide(), EngineSide()
    other.answers["eth_chainId"] = "0x7"

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            port = await nursery.start(_serve, side, 0, scope)
            async with connected(side, port, tmp_path) as engine:
                assert await engine.set_heads(side.at_genesis()) == Applied()
                scope.cancel()
                with pytest.raises(TemporaryError):
                    await engine.set_heads(side.at_genesis())
                async with other.serving(port):
                    with pytest.raises(CriticalError, match="its chain id is 7"):
                        await engine.set_heads(side.at_genesis())

    bounded(main)
    assert other.asked("engine_forkchoice") == []


async def _serve(side: EngineSide, port: int, scope: trio.CancelScope, *, task_status: trio.TaskStatus[int]) -> None:
    with scope:
        async with side.serving(port) as bound:
            task_status.started(bound)
            await trio.sleep_forever()


def test_blocks_may_be_read_from_a_public_port_of_the_same_chain(tmp_path: Path) -> None:
    side, public = EngineSide(), EngineSide()

    async def main() -> None:
        async with side.serving() as port, public.serving() as other:
            url = f"http://127.0.0.1:{other}"
            async with connected(side, port, tmp_path, eth_url=url) as engine:
                assert (await engine.block(L2Number(1))) == side.payload(1)
                assert await engine.set_heads(side.at_genesis()) == Applied()
            public.answers["eth_chainId"] = "0x9"
            with pytest.raises(ConfigError, match=f"at {url} is of another chain"):
                async with connected(side, port, tmp_path, eth_url=url):
                    pass

    public._authorise = lambda headers: None  # type: ignore[method-assign]  # a public port asks for no token
    bounded(main)
    assert {method for method, _ in public.calls} == {"eth_chainId", "eth_getBlockByNumber", "eth_getBlockByHash"}
    assert [method for method, _ in side.asked("engine_forkchoice")] == ["engine_forkchoiceUpdatedV3"]


def test_tokens_are_renewed_before_they_grow_stale(tmp_path: Path) -> None:
    side, now = EngineSide(), [time.time()]
    side.clock = lambda: now[0]

    async def main() -> None:
        async with side.serving() as port, connected(side, port, tmp_path, clock=lambda: now[0]) as engine:
            for step in (0.0, 3.0, 3.0, 3600.0, -7200.0):
                now[0] += step
                assert (await engine.heads()).safe == side.genesis

    bounded(main)


def test_what_was_known_of_an_engine_is_asked_again_after_it_was_away(tmp_path: Path) -> None:
    side = EngineSide()

    async def main() -> None:
        async with side.serving() as port:
            pass
        async with connected(side, port, tmp_path) as engine:
            asked = []
            for _ in range(2):
                async with side.serving(port):
                    for _ in range(2):
                        assert await engine.set_heads(side.at_genesis()) == Applied()
                        asked.append(len(side.asked("eth_getBlockByHash")))
                with pytest.raises(TemporaryError):
                    await engine.heads()
            assert asked[0] == asked[1] < asked[2] == asked[3]

    bounded(main)


def test_every_request_is_told_of(tmp_path: Path) -> None:
    side, events = EngineSide(), list[Event]()

    async def body(engine: RpcEngine) -> None:
        await engine.set_heads(side.at_genesis())

    run(side, body, tmp_path, events=events)
    asked = {event.method for event in events if isinstance(event, RequestAnswered)}
    assert {"eth_chainId", "engine_exchangeCapabilities", "engine_forkchoiceUpdatedV3"} <= asked


def test_an_engine_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    side = EngineSide()

    async def never(*params: Any) -> Any:
        await trio.sleep_forever()

    side.answers["engine_newPayloadV4"] = never

    async def body(engine: RpcEngine) -> None:
        with pytest.raises(TemporaryError, match=r"no answer within 0\.2 s"):
            await engine.execute(side.payload())
        assert (await engine.heads()).safe == side.genesis

    run(side, body, tmp_path, execution_timeout=0.2)


def test_settings_are_checked_without_opening_anything(tmp_path: Path) -> None:
    chain = EngineSide().chain
    secret = tmp_path / "jwt.txt"
    good = EngineSettings(url="http://127.0.0.1:8551", jwt_secret=secret)
    assert list(check(good, chain)) == []
    assert not secret.exists()
    secret.write_text("short")
    bad = attrs.evolve(good, url="localhost:8551", eth_url="ftp://host", timeout=0.0, execution_timeout=-1.0)
    problems = list(check(bad, chain))
    assert [problem.split(":")[0] for problem in problems] == [
        "url", "eth_url", "jwt_secret", "timeout", "execution_timeout",
    ]  # fmt: skip
    assert "64 hexadecimal digits, got 5 characters" in problems[2]
