"""The authenticated port: `engine_` and what a rollup node reads besides, on HTTP and WebSocket.

Spec: execution-apis, engine/authentication.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import trio

from kroma_core.jsonrpc.jwt import JwtSecret, TokenRefused
from kroma_core.jsonrpc.limits import MIB, Limits
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import Address, HttpServer, serve_http
from kroma_core.node.authrpc.engine_api import EngineApi
from kroma_core.node.authrpc.inquiries import Inquiries
from kroma_core.node.authrpc.writes import Writes
from kroma_core.node.eth.serve import EthMethods, EthView
from kroma_core.node.profile import AuthRpcTable
from kroma_core.node.tasks import task_group
from kroma_core.node.view import EngineView

TABLE: Final = "authrpc"
LIMITS: Final = Limits(body=64 * MIB, response=64 * MIB, request_seconds=300)
"""A payload may have 10 MB and more, in hexadecimal; a block may take long, and its caller gives up by itself."""


async def serve_authrpc(
    table: AuthRpcTable,
    view: EngineView,
    *,
    eth: EthView | None = None,
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the Engine API until cancelled, and the methods on `eth`, where rollup nodes look for blocks and proofs.

    Nobody else may write to the engine meanwhile.

    Raises `ConfigError` where the secret or the port cannot be had, and what the engine raises as `CriticalError`.
    """
    secret = JwtSecret.read_or_make(table.jwt_secret or view.data_dir / "jwt.txt")
    writes = Writes()
    methods = Methods()
    EngineApi(view.engine, view.chain.rollup, writes).add_to(methods)
    Inquiries(view.engine, methods).add_to(methods)

    def authorise(headers: Mapping[str, str]) -> str | None:
        try:
            secret.check(headers.get("authorization"), view.clock())
        except TokenRefused as refused:
            return str(refused)
        return None

    server = HttpServer(
        table=TABLE,
        methods=methods,
        websocket=True,
        authorise=authorise,
        hosts=frozenset(table.hosts),
        limits=LIMITS,
        emit=view.emit,
    )
    async with task_group() as nursery:
        if eth is not None:
            served = EthMethods(eth)
            served.add_to(methods)
            nursery.start_soon(served.run)
        nursery.start_soon(writes.run)
        await serve_http(server, host=table.host, port=table.port, task_status=task_status)
