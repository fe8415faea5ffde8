"""An account of a plan: what will be built from where, and why. Nothing is opened for it, and no secret is in it.

What the profile and the environment say is told with its origin; what nobody said, with the reason for which core has
filled it in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from kroma_core.api.roles import Capability, Role
from kroma_core.node.origins import DEFAULT, Origin, Origins, Way
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.node.plan_start import Start, start_of
from kroma_core.node.ports import UsedPort, used_ports
from kroma_core.node.profile import MANY, Isolation
from kroma_core.node.redaction import redacted


@attrs.frozen(kw_only=True)
class SettingAccount:
    """One setting: its value as JSON, without what is secret, and where it is from."""

    name: str
    value: Any
    origin: Origin


@attrs.frozen(kw_only=True)
class TableAccount:
    """A table of core's own. `header` as in the profile, `line` None where the profile has no such table."""

    header: str
    line: int | None
    settings: tuple[SettingAccount, ...]


@attrs.frozen(kw_only=True)
class PartAccount:
    """One part. `because`: why it is this one, where the profile does not say; `place`: beside which other part.

    `kind` is where the profile says which it is.
    """

    part: PlannedPart
    kind: Origin
    line: int | None
    because: str | None
    place: str | None
    settings: tuple[SettingAccount, ...]


@attrs.frozen(kw_only=True)
class CapabilityAccount:
    """What a part offers beyond its role, who cannot do without it, and who makes use of it."""

    part: str
    capability: Capability
    needed_by: tuple[str, ...]
    used_by: tuple[str, ...]


@attrs.frozen(kw_only=True)
class RequirementAccount:
    """A part that requires another role (or another part of its own), and what it is given."""

    part: str
    role: Role
    given: tuple[str, ...]


@attrs.frozen(kw_only=True)
class PlanAccount:
    """All of it. `tables` are those of core; `servers` the ones among them that listen."""

    plan: Plan
    start: Start
    chain: TableAccount
    parts: tuple[PartAccount, ...]
    capabilities: tuple[CapabilityAccount, ...]
    requirements: tuple[RequirementAccount, ...]
    tables: tuple[TableAccount, ...]
    servers: tuple[TableAccount, ...]
    ports: tuple[UsedPort, ...]
    processes: tuple[str, ...]


def account_of(plan: Plan) -> PlanAccount:
    """The account of a plan. Raises `ConfigError` where its data directory is another chain's."""
    origins = Origins.of(plan.profile)
    tables = {"node": plan.node, "shadow": plan.shadow, "explain": plan.explain}
    if not any(part.shadows for part in plan.parts):
        del tables["shadow"]
    servers = {name: table for name, table in attrs.asdict(plan.servers, recurse=False).items() if table is not None}
    return PlanAccount(
        plan=plan,
        start=start_of(plan),
        chain=_table("chain", plan.profile.chain, origins),
        parts=tuple(_parts(plan, origins)),
        capabilities=tuple(_capabilities(plan)),
        requirements=tuple(_requirements(plan)),
        tables=tuple(_table(name, table, origins) for name, table in tables.items()),
        servers=tuple(_table(name, table, origins) for name, table in servers.items()),
        ports=used_ports(((part.name, part.settings) for part in plan.layers), plan.servers),
        processes=tuple(_processes(plan)),
    )


def _table(name: str, table: Any, origins: Origins) -> TableAccount:
    return TableAccount(header=f"[{name}]", line=origins.line((name,)), settings=_settings(table, (name,), origins))


def _settings(table: Any, way: Way | None, origins: Origins) -> tuple[SettingAccount, ...]:
    if table is None:
        return ()
    shown = redacted(table)
    return tuple(
        SettingAccount(name=name, value=shown[name], origin=DEFAULT if way is None else origins.find((*way, name)))
        for name in (field.alias or field.name for field in attrs.fields(type(table)))
    )


def _parts(plan: Plan, origins: Origins) -> Iterator[PartAccount]:
    for part in plan.parts:
        yield from _layers(part, plan, origins, None)
        for shadow in part.shadows:
            yield from _layers(shadow, plan, origins, f"in the shadow of {_short(part)}")


def _layers(part: PlannedPart, plan: Plan, origins: Origins, place: str | None) -> Iterator[PartAccount]:
    for layer in part.layers:
        way = layer.table.at
        kind = origins.find((*way, "kind")) if way is not None else DEFAULT
        needs = sorted(need.value for need in layer.table.needs)
        core = (SettingAccount(name="needs", value=needs, origin=origins.find((*(way or ()), "needs"))),)
        yield PartAccount(
            part=layer,
            kind=kind,
            line=origins.line(way) if way is not None else None,
            because=_because(layer, plan) if kind == DEFAULT else None,
            place=place if layer is part else f"under {_short(part)}",
            settings=(core if needs else ()) + _settings(layer.settings, way, origins),
        )


def _because(part: PlannedPart, plan: Plan) -> str:
    """Why a part is there that the profile does not name."""
    only = f"the only {part.role} that fits, of those installed"
    if part.role is Role.BLOBS and part.table.at is None:
        asking = ", ".join(_short(other) for other in plan.layers if part.role in other.installed.offer.requires)
        return f"the profile names none, {asking} requires one; {only}"
    return f"the profile names none; {only}"


def _short(part: PlannedPart) -> str:
    return f"{part.role} {part.installed.offer.kind}"


def _capabilities(plan: Plan) -> Iterator[CapabilityAccount]:
    for name, part, leads in _named(plan):
        for capability in sorted(part.installed.offer.capabilities):
            yield CapabilityAccount(
                part=name,
                capability=capability,
                needed_by=tuple(_needing(plan, part, capability, leads=leads)),
                used_by=tuple(_using(plan, part.role, capability)) if leads else (),
            )


def _named(plan: Plan) -> Iterator[tuple[str, PlannedPart, bool]]:
    """All parts, each with a name and whether it is one of those that lead."""
    for part in plan.parts:
        yield from ((_short(layer), layer, True) for layer in part.layers)
        for shadow in part.shadows:
            yield from ((f"{_short(layer)} (shadow)", layer, False) for layer in shadow.layers)


def _needing(plan: Plan, part: PlannedPart, capability: Capability, *, leads: bool) -> Iterator[str]:
    """Who refuses to start without it. What stands on a part can do no more than that part."""
    for top in (each for lead in plan.parts for each in (lead, *lead.shadows)):
        if any(layer is part for layer in top.layers):
            for layer in top.layers:
                if capability in layer.table.needs:
                    yield f"needs of {_header(layer)}"
    if part.role is not Role.ENGINE or not leads:
        return
    if capability is Capability.STATE_QUERIES:
        yield from (f"[{name}]" for name in ("eth", "authrpc") if getattr(plan.servers, name) is not None)
    if capability is Capability.EXECUTES and plan.node.checkpoint is not None:
        yield "checkpoint of [node]"


def _using(plan: Plan, role: Role, capability: Capability) -> Iterator[str]:
    """Who does something with it, and does without where it is not there."""
    match role, capability:
        case Role.L1, Capability.TIMELINE:
            yield "the node: it ends with the recording"
        case Role.ENGINE, Capability.TX_POOL | Capability.BLOCK_TRACES:
            yield from (f"[{name}]" for name in ("eth", "authrpc") if getattr(plan.servers, name) is not None)
        case Role.ENGINE, Capability.STATE_QUERIES if plan.servers.rpc is not None and plan.explain.keep:
            yield "node_explainTransaction of [rpc]"


def _header(part: PlannedPart) -> str:
    """A part's table as a profile writes it."""
    names = [str(step) for step in part.table.at or (part.role.value,) if isinstance(step, str)]
    many = (part.role in MANY and len(names) == 1) or names[-1] == "shadow"
    return f"[[{'.'.join(names)}]]" if many else f"[{'.'.join(names)}]"


def _requirements(plan: Plan) -> Iterator[RequirementAccount]:
    for name, part, _ in _named(plan):
        for role in part.installed.offer.requires:
            below = (part.wraps,) if part.wraps is not None else ()
            given = below if role is part.role else plan.of_role(role)
            yield RequirementAccount(part=name, role=role, given=tuple(each.installed.offer.kind for each in given))


def _processes(plan: Plan) -> Iterator[str]:
    yield "the node"
    if plan.node.isolation is Isolation.PROCESS:
        yield "the engine"
        yield "derivation"
    for part in plan.parts:
        yield from (f"{_short(shadow)}, in the shadow" for shadow in part.shadows if not shadow.installed.requires)
