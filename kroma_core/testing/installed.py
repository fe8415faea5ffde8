"""Finding an installed offer by its kind, for suites that are told nothing else."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import attrs
import pluggy

from kroma_core.api import ENTRY_POINT_GROUP, Offer, Role, hooks
from kroma_core.api.hooks import HOOK_OF_ROLE, PROJECT


@attrs.frozen(kw_only=True)
class Installed:
    """An offer, and the distribution that makes it."""

    role: Role
    offer: Offer[Any]
    distribution: str
    version: str


def installed_offers(kind: str | None = None, role: Role | None = None) -> list[Installed]:
    """Every offer of that kind and role; None for any. Errors of a plugin that cannot be loaded come through."""
    found: list[Installed] = []
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hooks)
        manager.register(entry.load())
        name, version = ("?", "?") if entry.dist is None else (entry.dist.name, entry.dist.version)
        for filled, hook in HOOK_OF_ROLE.items():
            for offers in getattr(manager.hook, hook)():
                found += [
                    Installed(role=filled, offer=offer, distribution=name, version=version)
                    for offer in offers
                    if kind in (None, offer.kind) and role in (None, filled)
                ]
    return found
