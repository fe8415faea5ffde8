"""`/metrics`: the page of figures that Prometheus reads."""

from __future__ import annotations

import trio

from kroma_core.jsonrpc.server import Address, HttpServer, Request, Response, Route, serve_http
from kroma_core.node.metrics import NodeMetrics
from kroma_core.node.profile import MetricsTable

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def serve_metrics(
    table: MetricsTable, metrics: NodeMetrics, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the figures of `metrics` until cancelled. Raises `ConfigError` where the port cannot be had."""

    async def page(request: Request) -> Response:
        return Response(body=metrics.page(), content_type=_CONTENT_TYPE)

    # Prometheus may know the node under any name, and a page on the web that reads the figures does no harm.
    server = HttpServer(table="metrics", routes=(Route("GET", "/metrics", page),), hosts=frozenset({"*"}))
    await serve_http(server, host=table.host, port=table.port, task_status=task_status)
