"""What a node of a profile serves: the services of its tables, each with the address that it got."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

import attrs
import trio

from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.metrics import NodeMetrics
from kroma_core.node.metrics_server import serve_metrics
from kroma_core.node.plan import Plan
from kroma_core.node.rpc.serve import serve_node_rpc
from kroma_core.node.view import EngineService, EngineView, NodeView, Service
from kroma_core.node.watch import Watch


@attrs.frozen
class Announced:
    """A server that says on stderr where it listens."""

    table: str
    serve: Any

    async def __call__(self, view: Any, *, task_status: trio.TaskStatus[Any]) -> None:
        await self.serve(view, task_status=_Announcing(self.table, task_status))


@attrs.frozen
class _Announcing:
    table: str
    told: trio.TaskStatus[Any]

    def started(self, value: Any = None) -> None:
        host, port = value
        print(f"kroma: [{self.table}] listens on {host}:{port}", file=sys.stderr, flush=True)
        self.told.started(value)


def services_of(plan: Plan, metrics: NodeMetrics, watch: Watch) -> Sequence[Service]:
    """The services of a node that derives. `metrics` and `watch` have to be observers of it since its start."""
    found: list[Service] = []
    servers = plan.servers
    if servers.rpc is not None:
        found.append(Announced("rpc", functools.partial(serve_node_rpc, servers.rpc, plan=plan, watch=watch)))
    if servers.metrics is not None:
        table = servers.metrics

        async def figures(view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None:
            metrics.attach(view.driver.status, l1_confirmations=plan.node.l1_confirmations)
            await serve_metrics(table, metrics, task_status=task_status)

        found.append(Announced("metrics", figures))
    return found


def engine_services_of(plan: Plan, metrics: NodeMetrics) -> Sequence[EngineService]:
    """The services of a node that has only an engine."""
    found: list[EngineService] = []
    if plan.servers.authrpc is not None:
        found.append(Announced("authrpc", functools.partial(serve_authrpc, plan.servers.authrpc)))
    if plan.servers.metrics is not None:
        table = plan.servers.metrics

        async def figures(view: EngineView, *, task_status: trio.TaskStatus[Any]) -> None:
            await serve_metrics(table, metrics, task_status=task_status)

        found.append(Announced("metrics", figures))
    return found
