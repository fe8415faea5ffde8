"""`node_`: what this node is made of, how it was configured, and how it fares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.health import HealthLimits
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.node.redaction import redacted
from kroma_core.node.rpc import shapes
from kroma_core.node.rpc.health import health_json, health_of
from kroma_core.node.rpc.versions import software
from kroma_core.node.view import NodeView
from kroma_core.node.watch import Watch


def node_methods(view: NodeView, plan: Plan, watch: Watch, limits: HealthLimits) -> Mapping[str, Handler]:
    """The methods by name, without their namespace."""

    async def plugins() -> Any:
        return [
            {
                "role": part.role.value,
                "kind": part.installed.offer.kind,
                "distribution": part.installed.distribution,
                "version": part.installed.version,
                "api": part.installed.offer.api,
                "capabilities": sorted(capability.value for capability in part.installed.capabilities),
                **follows,
            }
            for part, follows in _with_followers(plan)
        ]

    async def profile() -> Any:
        return {
            "name": plan.name,
            "data_dir": str(plan.data_dir),
            "node": redacted(plan.node),
            **{name: table for name, table in redacted(plan.servers).items() if table is not None},
            "parts": [
                {"role": part.role.value, "kind": part.installed.offer.kind, **follows, **redacted(part.settings)}
                for part, follows in _with_followers(plan)
            ],
        }

    async def status() -> Any:
        found, now = view.driver.status(), view.clock()
        rollup = view.chain.rollup
        heads = found.heads
        return {
            "name": view.name,
            "version": software(),
            "chain": {
                "name": rollup.name,
                "family": rollup.family.value,
                "l1_chain_id": rollup.l1_chain_id,
                "l2_chain_id": rollup.l2_chain_id,
            },
            "uptime": round(now - watch.signs().started, 3),
            "l1_head_age": None if found.head_l1 is None else round(now - found.head_l1.timestamp, 3),
            "unsafe_age": None if heads is None else round(now - heads.unsafe.timestamp, 3),
            "safe_age": None if heads is None else round(now - heads.safe.timestamp, 3),
            "queued_unsafe_l2": None if found.queued_unsafe is None else shapes.l2_ref(found.queued_unsafe),
            "sync": shapes.sync_status(found),
        }

    async def health() -> Any:
        return health_json(health_of(view, watch, limits))

    return {"plugins": plugins, "profile": profile, "status": status, "health": health}


def _with_followers(plan: Plan) -> Iterator[tuple[PlannedPart, dict[str, str]]]:
    """The parts, each followed by those in its shadow, which name the kind that they follow."""
    for part in plan.parts:
        yield part, {}
        for shadow in part.shadows:
            yield shadow, {"follows": part.installed.offer.kind}
