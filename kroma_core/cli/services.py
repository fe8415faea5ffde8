"""What a node of a profile serves: the services of its tables, each with the address that it got."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import attrs
import trio

from kroma_core.api import BlockTraces, Capability, Role, StateQueries, TxPool
from kroma_core.cli.log_lines import LogLines
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.eth.serve import EthView, serve_eth
from kroma_core.node.eth.syncing import highest_known
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.metrics import NodeMetrics
from kroma_core.node.metrics_server import serve_metrics
from kroma_core.node.plan import Plan
from kroma_core.node.profile import LogLevel
from kroma_core.node.rpc.serve import serve_node_rpc
from kroma_core.node.view import EngineService, EngineView, NodeView, Service
from kroma_core.node.watch import Watch


@attrs.frozen
class Announced:
    """A server that says on stderr where it listens."""

    table: str
    serve: Any
    lines: LogLines

    async def __call__(self, view: Any, *, task_status: trio.TaskStatus[Any]) -> None:
        await self.serve(view, task_status=_Announcing(self.table, task_status, self.lines))


@attrs.frozen
class _Announcing:
    table: str
    told: trio.TaskStatus[Any]
    lines: LogLines

    def started(self, value: Any = None) -> None:
        addresses = value if isinstance(value[0], tuple) else (value,)
        found = [f"{host}:{port}" for host, port, *_ in addresses]
        words = f"kroma: [{self.table}] listens on {' and '.join(found)}"
        self.lines.write(LogLevel.INFO, "listening", {"table": self.table, "addresses": found}, words)
        self.told.started(value)


def services_of(plan: Plan, metrics: NodeMetrics, watch: Watch, recorder: VerdictRecorder | None) -> Sequence[Service]:
    """The services of a node that derives. The others have to be its observers from the start."""
    found: list[Service] = []
    servers = plan.servers
    if servers.rpc is not None:
        served = functools.partial(serve_node_rpc, servers.rpc, plan=plan, watch=watch, recorder=recorder)
        found.append(Announced("rpc", served, _lines(plan)))
    found += _eth(plan)
    if servers.metrics is not None:
        table = servers.metrics

        async def figures(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            metrics.attach(view.driver.status, l1_confirmations=plan.node.l1_confirmations)
            await serve_metrics(table, metrics, task_status=task_status)

        found.append(Announced("metrics", figures, _lines(plan)))
    return found


def engine_services_of(plan: Plan, metrics: NodeMetrics) -> Sequence[EngineService]:
    """The services of a node that has only an engine."""
    found: list[EngineService] = []
    found += _authrpc(plan)
    found += _eth(plan)
    if plan.servers.metrics is not None:
        table = plan.servers.metrics

        async def figures(view: EngineView, *, task_status: trio.TaskStatus[Any]) -> None:
            await serve_metrics(table, metrics, task_status=task_status)

        found.append(Announced("metrics", figures, _lines(plan)))
    return found


def _authrpc(plan: Plan) -> Sequence[Announced]:
    table = plan.servers.authrpc
    if table is None:
        return ()

    async def serve(view: EngineView, *, task_status: trio.TaskStatus[Any]) -> None:
        await serve_authrpc(table, view, eth=_eth_view(plan, view, miner=True), task_status=task_status)

    return (Announced("authrpc", serve, _lines(plan)),)


def _eth(plan: Plan) -> Sequence[Announced]:
    table = plan.servers.eth
    if table is None:
        return ()

    async def serve(view: EngineView, *, task_status: trio.TaskStatus[Any]) -> None:
        await serve_eth(table, _eth_view(plan, view, miner=table.miner), task_status=task_status)

    return (Announced("eth", serve, _lines(plan)),)


def _lines(plan: Plan) -> LogLines:
    return LogLines(format=plan.node.log_format)


def _eth_view(plan: Plan, view: EngineView, *, miner: bool) -> EthView:
    """The engine as its offer says it is; the plan has made sure that it answers state queries."""
    engines = plan.of_role(Role.ENGINE)
    with_pool = any(Capability.TX_POOL in part.installed.capabilities for part in engines)
    with_traces = any(Capability.BLOCK_TRACES in part.installed.capabilities for part in engines)
    return EthView(
        engine=view.engine,
        queries=cast(StateQueries, view.engine),
        pool=cast(TxPool, view.engine) if with_pool else None,
        traces=cast(BlockTraces, view.engine) if with_traces else None,
        chain=view.chain,
        emit=view.emit,
        syncing=lambda: _highest_known(plan, view),
        miner=miner,
    )


def _highest_known(plan: Plan, view: EngineView) -> int | None:
    """An engine that another rollup node drives does not know of more than it has."""
    if not isinstance(view, NodeView):
        return None
    return highest_known(
        view.driver.status(), block_time=view.chain.rollup.block_time, confirmations=plan.node.l1_confirmations
    )
