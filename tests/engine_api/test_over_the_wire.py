"""The engine's contract across the wire: `engine_rpc` asks the Engine API that is served on the embedded engine."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import trio

from kroma_core.api import ExecutionEngine, PluginContext, Port, Role, StateQueries
from kroma_core.chain.config import ChainConfig
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.eth.serve import EthView
from kroma_core.node.profile import AuthRpcTable
from kroma_core.node.registry import discover
from kroma_core.node.settings import SettingsReader
from kroma_core.testing.engine import EngineSuite
from tests.engine_api.worlds import view_of
from tests.vectors.unit_files import OWN_VECTORS


class TestEngineRpcOnOurEngineApi(EngineSuite):
    recording_path = OWN_VECTORS / "op-chains" / "plain-jovian.json.xz"

    def open_engine(self, chain: ChainConfig, folder: Path) -> AbstractAsyncContextManager[ExecutionEngine]:
        return _across(chain, folder)


class TestEngineRpcOnOurEngineApiBeforeWithdrawals(TestEngineRpcOnOurEngineApi):
    recording_path = OWN_VECTORS / "op-chains" / "plain-bedrock.json.xz"


@asynccontextmanager
async def _across(chain: ChainConfig, folder: Path) -> AsyncIterator[ExecutionEngine]:
    secret = folder / "jwt.txt"
    table = AuthRpcTable(port=Port(0), jwt_secret=secret)
    async with _opened("pyevm", {}, chain, folder) as engine, BackgroundTasks() as nursery:
        view = view_of(engine, chain, folder)
        eth = EthView(
            engine=engine, queries=cast(StateQueries, engine), pool=None, chain=chain, emit=lambda event: None
        )

        async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
            await serve_authrpc(table, view, eth=eth, task_status=task_status)

        host, port = await nursery.start(serve)
        settings = {"url": f"http://{host}:{port}", "jwt_secret": str(secret)}
        async with _opened("rpc", settings, chain, folder) as client:
            yield client


@asynccontextmanager
async def _opened(kind: str, table: dict[str, Any], chain: ChainConfig, folder: Path) -> AsyncIterator[ExecutionEngine]:
    found = discover().find(Role.ENGINE, kind)
    assert found is not None
    problems: list[str] = []
    config: Any = found.offer.config
    settings = SettingsReader(base=folder, environment={}).read(table, config, "[engine]", problems)
    assert problems == []
    data_dir = folder / kind
    data_dir.mkdir(exist_ok=True)
    context = PluginContext(chain=chain, data_dir=data_dir, clock=time.time, emit=lambda event: None)
    async with found.offer.open(settings, context) as engine:
        yield engine
