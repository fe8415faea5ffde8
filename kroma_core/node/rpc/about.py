"""`node_`: what this node is made of, how it was configured, and how it fares."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import attrs

from kroma_core.api.settings import Secret
from kroma_core.codec.hexadecimal import to_data
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.plan import Plan
from kroma_core.node.rpc import shapes
from kroma_core.node.rpc.health import health_json, health_of
from kroma_core.node.rpc.versions import software
from kroma_core.node.view import NodeView
from kroma_core.node.watch import Watch

HIDDEN = "***"


def node_methods(view: NodeView, plan: Plan, watch: Watch) -> Mapping[str, Handler]:
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
            }
            for part in plan.parts
        ]

    async def profile() -> Any:
        return {
            "name": plan.name,
            "data_dir": str(plan.data_dir),
            "node": redacted(plan.node),
            **{name: table for name, table in redacted(plan.servers).items() if table is not None},
            "parts": [
                {"role": part.role.value, "kind": part.installed.offer.kind, **redacted(part.settings)}
                for part in plan.parts
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
        return health_json(health_of(view, watch))

    return {"plugins": plugins, "profile": profile, "status": status, "health": health}


def redacted(value: Any) -> Any:
    """Settings as JSON, without secrets: of a URL no more than scheme, host and port is shown."""
    match value:
        case Secret():
            return HIDDEN
        case str() if "://" in value:
            return _without_path(value)
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, enum.Enum) else value
        case bytes():
            return to_data(value)
        case Mapping():
            return {str(redacted(key)): redacted(item) for key, item in value.items()}
        case PurePath():
            return str(value)
        case list() | tuple():
            return [redacted(item) for item in value]
        case set() | frozenset():
            return sorted((redacted(item) for item in value), key=str)
        case _ if attrs.has(type(value)):
            fields = attrs.fields(type(value))
            return {field.alias or field.name: redacted(getattr(value, field.name)) for field in fields}
        case _:
            return str(value.value) if isinstance(value, enum.Enum) else HIDDEN


def _without_path(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return HIDDEN
    if not host:
        return HIDDEN
    shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{port}" if port else "")
    more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or parts.password
    return f"{shown}/{HIDDEN}" if more else shown
