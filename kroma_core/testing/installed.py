"""Finding an installed offer by its kind, as a node finds it, for suites that are told nothing else."""

from __future__ import annotations

from typing import Any

import attrs

from kroma_core.api import Offer, Role
from kroma_core.node.registry import Registry, discover


@attrs.frozen(kw_only=True)
class Installed:
    """An offer, and the distribution that makes it."""

    role: Role
    offer: Offer[Any]
    distribution: str
    version: str


def installed_offers(kind: str | None = None, role: Role | None = None) -> list[Installed]:
    """Every offer of that kind and role; None for any. A plugin that a node sets aside is left out."""
    return _offers(discover(), kind, role)


def installed_offer(kind: str, role: Role | None = None) -> Installed:
    """The offer of that kind. Raises `LookupError` where there is none, or more than one, with what a node says."""
    registry = discover()
    found = _offers(registry, kind, role)
    if not found:
        raise LookupError(_absent(registry, kind, role))
    roles = sorted({one.role.value for one in found})
    if len(roles) > 1:
        raise LookupError(f"{kind!r} is offered for {' and '.join(roles)}: add role=ROLE")
    contest = registry.contest(found[0].role, kind)
    if contest is not None:
        raise LookupError(contest)
    return found[0]


def _offers(registry: Registry, kind: str | None, role: Role | None) -> list[Installed]:
    return [
        Installed(role=found.role, offer=found.offer, distribution=found.distribution, version=found.version)
        for found in registry.offers
        if kind in (None, found.offer.kind) and role in (None, found.role)
    ]


def _absent(registry: Registry, kind: str, role: Role | None) -> str:
    wanted = repr(kind) if role is None else f"{role} {kind!r}"
    others = " and ".join(one.role for one in _offers(registry, kind, None))
    text = f"no installed plugin offers {wanted}"
    if others:
        text += f"; {kind!r} is offered for {others}"
    return "; ".join((text, *map(str, registry.broken), "`kroma plugins` lists what is installed"))
