"""A node that has followed a recording to its end, and serves its RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio

from kroma_core.api.settings import Port
from kroma_core.node.assemble import assemble
from kroma_core.node.driver import Driver
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.plan import plan_replay
from kroma_core.node.profile import LogLevel, RpcTable
from kroma_core.node.rpc.serve import serve_node_rpc
from kroma_core.node.view import NodeView
from kroma_core.node.watch import Watch
from tests.node.recorded_worlds import World, installed, written


@attrs.frozen(kw_only=True)
class Asked:
    """The node's RPC as its clients reach it, and what the test may do to the node besides."""

    url: str
    driver: Driver
    log_levels: list[LogLevel]

    async def call(self, method: str, *params: Any) -> Any:
        """The whole answer."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return (await client.post(self.url, json=body)).json()

    async def result(self, method: str, *params: Any) -> Any:
        answer = await self.call(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    async def error(self, method: str, *params: Any) -> dict[str, Any]:
        answer = await self.call(method, *params)
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return await client.get(self.url + path)


@asynccontextmanager
async def recorded_node(
    folder: Path,
    world: World,
    *,
    now: float,
    admin: bool = False,
    follow: bool = True,
    table: dict[str, Any] | None = None,
) -> AsyncIterator[Asked]:
    """A node on the embedded engine; without `follow` it has not begun."""
    recording = written(folder, world)
    profile = folder / "in-memory.toml"
    profile.write_text("[engine]\nkind = 'pyevm'\nstore = 'memory'\n")
    plan = plan_replay(recording, profile, installed(), {}, folder / "data")
    watch = Watch(clock=lambda: now)
    levels: list[LogLevel] = []
    recorder = VerdictRecorder(plan.explain, clock=lambda: now)
    async with (
        assemble(plan, observers={"health": watch, "explain": recorder}) as parts,
        recorder.kept_in(folder / "explain.sqlite", parts.emit),
        trio.open_nursery() as nursery,
    ):
        driver = Driver(config=plan.chain, l1=parts.l1, data=parts.data, engine=parts.engine, emit=parts.emit)
        if follow:
            await driver.follow()
        view = NodeView(
            name="recorded",
            chain=plan.chain,
            data_dir=plan.data_dir,
            engine=parts.engine,
            clock=lambda: now,
            emit=parts.emit,
            set_log_level=levels.append,
            l1=parts.l1,
            driver=driver,
        )
        rpc = RpcTable(port=Port(0), admin=admin, **(table or {}))
        host, port = await nursery.start(partial(serve_node_rpc, rpc, view, plan=plan, watch=watch, recorder=recorder))
        yield Asked(url=f"http://{host}:{port}", driver=driver, log_levels=levels)
        nursery.cancel_scope.cancel()


def asked(
    folder: Path, world: World, check: Callable[[Asked], Awaitable[Any]], *, now: float = 0.0, **settings: Any
) -> Any:
    """The result of `check` on such a node."""
    folder.mkdir(exist_ok=True)

    async def main() -> Any:
        async with recorded_node(folder, world, now=now, **settings) as node:
            return await check(node)

    return trio.run(main)
