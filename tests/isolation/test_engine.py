"""The embedded engine in a process of its own."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.api import BlockTraces, ExecutionEngine, Role, StateQueries, TxPool, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.node.isolation.engine import RemoteEngine, isolated_engine
from kroma_core.node.isolation.hosts import EngineHost
from kroma_core.node.isolation.kept import KeptProcess
from kroma_core.node.registry import discover
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.settings import SettingsReader
from kroma_core.testing.block_traces import BlockTracesSuite
from kroma_core.testing.engine import EngineSuite
from kroma_core.types import L2Number
from tests.engine_api.worlds import recorded
from tests.vectors.unit_files import OWN_VECTORS

QUICK = RetryPolicy(first=0.001, longest=0.01)


@asynccontextmanager
async def opened(chain: ChainConfig, folder: Path, **table: Any) -> AsyncIterator[RemoteEngine]:
    found = discover().find(Role.ENGINE, "pyevm")
    assert found is not None
    config: Any = found.offer.config
    settings = SettingsReader(base=folder, environment={}).read(table, config, "[engine]", [])
    host = EngineHost(kind="pyevm", settings=settings, chain=chain, data_dir=folder)
    async with isolated_engine(host, "engine", lambda event: None, QUICK) as engine:
        yield engine


@pytest.mark.slow
class TestBlockTracesFromItsOwnProcess(BlockTracesSuite):
    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[ExecutionEngine]:
        return opened(chain, folder)


@pytest.mark.slow
class TestEmbeddedEngineInItsOwnProcess(EngineSuite):
    recording_path = OWN_VECTORS / "op-chains" / "plain-jovian.json.xz"

    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[ExecutionEngine]:
        return opened(chain, folder)


def test_the_stand_in_has_every_method_of_the_protocols_as_they_are() -> None:
    for protocol in (ExecutionEngine, StateQueries, TxPool, BlockTraces):
        for name, method in vars(protocol).items():
            if inspect.iscoroutinefunction(method):
                assert inspect.signature(getattr(RemoteEngine, name)) == inspect.signature(method), name


def test_limits_of_data_last_for_longer_than_a_process() -> None:
    set_for_good: list[tuple[Any, ...]] = []

    class Process(KeptProcess):
        def __init__(self) -> None:
            pass

        async def call_lasting(self, method: str, *arguments: Any) -> None:
            set_for_good.append((method, *arguments))

    trio.run(RemoteEngine(Process()).limit_data, 1000, 5000)
    assert set_for_good == [("limit_data", 1000, 5000)]


def test_blocks_survive_an_engine_that_is_killed(tmp_path: Path) -> None:
    chain, blocks = recorded("plain-jovian")

    async def main() -> None:
        async with opened(chain, tmp_path) as engine:
            for number, block in enumerate(blocks[:6], 1):
                assert await engine.execute(block.payload) == Valid()
                if number == 3:
                    pid = engine._process.pid
                    assert pid is not None
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_asking, engine, blocks[number].payload)
                        os.kill(pid, signal.SIGKILL)
                    await _answering(engine)
            for block in blocks[:6]:
                assert await engine.block(block.hash) == block.payload

    trio.run(main)


async def _asking(engine: RemoteEngine, payload: Any) -> None:
    try:
        await engine.execute(payload)
    except TemporaryError:
        return


async def _answering(engine: RemoteEngine) -> None:
    """Wait until the engine answers again."""
    with trio.fail_after(20):
        while True:
            try:
                await engine.heads()
                return
            except TemporaryError:
                await trio.sleep(0.01)


def test_state_queries_and_errors_cross(tmp_path: Path) -> None:
    chain, blocks = recorded("plain-jovian")

    async def main() -> None:
        async with opened(chain, tmp_path, store="memory") as engine:
            assert await engine.execute(blocks[0].payload) == Valid()
            assert (await engine.header(blocks[0].hash)).number == 1
            assert (await engine.account(bytes(20), blocks[0].hash)).nonce == 0
            assert await engine.pool_counts() == (0, 0)
            with pytest.raises(NotFound, match="the engine has no block 99"):
                await engine.block(L2Number(99))

    trio.run(main)
