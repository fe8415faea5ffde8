"""The node's own RPC on one port: `optimism_`, `kroma_`, `node_`, `admin_` where it is on, and health."""

from __future__ import annotations

from typing import Any

import trio

from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import Address, HttpServer, serve_http
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.plan import Plan
from kroma_core.node.profile import RpcTable
from kroma_core.node.rpc.about import node_methods
from kroma_core.node.rpc.admin import admin_methods
from kroma_core.node.rpc.explain import explain_methods
from kroma_core.node.rpc.health import health_routes, limits_of
from kroma_core.node.rpc.rollup import NAMESPACES, rollup_methods
from kroma_core.node.rpc.versions import software
from kroma_core.node.view import NodeView
from kroma_core.node.watch import Watch


async def serve_node_rpc(
    table: RpcTable,
    view: NodeView,
    *,
    plan: Plan,
    watch: Watch,
    recorder: VerdictRecorder | None = None,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. `watch`, and `recorder` where there is one, have to be observers of the node since its
    start.

    Raises `ConfigError` where the port cannot be had.
    """
    server = HttpServer(
        table="rpc",
        methods=node_rpc_methods(table, view, plan=plan, watch=watch, recorder=recorder),
        routes=health_routes(view, watch, limits_of(table)),
        websocket=True,
        hosts=frozenset(table.hosts),
        emit=view.emit,
    )
    await serve_http(server, host=table.host, port=table.port, task_status=task_status)


def node_rpc_methods(
    table: RpcTable, view: NodeView, *, plan: Plan, watch: Watch, recorder: VerdictRecorder | None = None
) -> Methods:
    """Everything that is answered on the port."""
    methods = Methods()
    answers = rollup_methods(view)
    for namespace in NAMESPACES:
        methods.add_namespace(namespace, answers)
    methods.add_namespace("node", node_methods(view, plan, watch, limits_of(table)))
    methods.add_namespace("node", explain_methods(view, plan, recorder))
    if table.admin:
        methods.add_namespace("admin", admin_methods(view))

    async def status() -> Any:
        return software()

    async def modules() -> Any:
        return methods.modules()

    methods.add("health_status", status)
    methods.add("rpc_modules", modules)
    return methods
