"""`/healthz`, `/livez` and `/readyz`: 200, or 503 with reasons as JSON."""

from __future__ import annotations

from typing import Any

from kroma_core.jsonrpc.server import Request, Response, Route
from kroma_core.node.health import Health, HealthLimits, Reason, judge
from kroma_core.node.profile import RpcTable
from kroma_core.node.rpc.versions import software
from kroma_core.node.view import NodeView
from kroma_core.node.watch import Watch


def limits_of(table: RpcTable) -> HealthLimits:
    """What the profile takes for healthy."""
    return HealthLimits(l1_age=table.max_l1_age, lag=table.max_lag)


def health_of(view: NodeView, watch: Watch, limits: HealthLimits) -> Health:
    """The node's health now."""
    driver = view.driver
    return judge(driver.status(), watch.signs(), view.clock(), confirmations=driver.l1_confirmations, limits=limits)


def health_json(health: Health) -> dict[str, Any]:
    return {
        "ready": not health.not_ready,
        "alive": not health.not_alive,
        "reasons": [_reason(each) for each in (*health.not_ready, *health.not_alive)],
    }


def health_routes(view: NodeView, watch: Watch, limits: HealthLimits) -> tuple[Route, ...]:
    """What orchestrators ask. `/healthz` says that the process answers, as op-node's does."""

    async def healthz(request: Request) -> Response:
        return Response.json({"status": "ok", "version": software()})

    async def livez(request: Request) -> Response:
        return _answer("alive", health_of(view, watch, limits).not_alive)

    async def readyz(request: Request) -> Response:
        return _answer("ready", health_of(view, watch, limits).not_ready)

    return (Route("GET", "/healthz", healthz), Route("GET", "/livez", livez), Route("GET", "/readyz", readyz))


def _answer(what: str, reasons: tuple[Reason, ...]) -> Response:
    found = {"status": f"not {what}" if reasons else what, "reasons": [_reason(each) for each in reasons]}
    return Response.json(found, status=503 if reasons else 200)


def _reason(found: Reason) -> dict[str, str]:
    return {"code": found.code, "text": found.text}
