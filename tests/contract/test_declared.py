"""What every installed offer says of itself; its class is made here, so that none can be forgotten."""

from __future__ import annotations

from kroma_core.api import Role
from kroma_core.node.registry import discover
from kroma_core.testing.conformance.suites import default_maker
from kroma_core.testing.declared import DeclaredSuite
from kroma_core.testing.installed import installed_offers
from kroma_core.testing.observer import ObserverSuite


def _classes() -> dict[str, type]:
    """A class for each offer, named after role and kind; installed observers also get their role's suite."""
    made: dict[str, type] = {}
    for role in Role:
        for found in discover().of_role(role):
            kind = found.offer.kind
            name = f"{role.value.capitalize()}{kind.title().replace('-', '')}"
            made[f"Test{name}Offer"] = type(f"Test{name}Offer", (DeclaredSuite,), {"offer": (role, kind)})
            maker = default_maker(installed_offers(kind, role)[0]) if role is Role.OBSERVE else None
            if maker is not None:
                made[f"Test{name}"] = type(f"Test{name}", (maker, ObserverSuite), {"offer": (role, kind)})
    return made


globals().update(_classes())
