"""What to tell an operator whose profile asks for a part that is not installed: what there is, and how to get it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from typing import Final

import attrs

from kroma_core.api.hooks import ENTRY_POINT_GROUP
from kroma_core.api.roles import Role
from kroma_core.node.registry import InstalledOffer, Registry, incompatibility
from kroma_core.node.settings import suggestion

CORE: Final = "kroma-core"
"""The distribution that this module is of, wherever it runs from."""
_FILE: Final = "published.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@attrs.frozen(kw_only=True)
class Published:
    """A distribution of this project, where a checkout has it, and the kinds that it offers by role."""

    distribution: str
    folder: str
    kinds: Mapping[Role, tuple[str, ...]]

    @property
    def how(self) -> str:
        return f"pip install {self.distribution} (in a checkout: pip install -e {self.folder})"


def published() -> tuple[Published, ...]:
    """What this project publishes, whether it is installed or not."""
    tables = tomllib.loads((resources.files(__package__) / _FILE).read_text(encoding="utf-8"))
    return tuple(
        Published(
            distribution=name,
            folder=table["folder"],
            kinds={role: tuple(table[role.value]) for role in Role if role.value in table},
        )
        for name, table in tables.items()
    )


def absent_kind(role: Role, kind: str, registry: Registry) -> str:
    """What to say of a kind that nothing installed offers."""
    usable = registry.usable(role)
    how = _how(role, kind, registry)
    if how.startswith(_NOT_OURS):
        how += suggestion(kind, [found.offer.kind for found in usable])
    return f"no installed plugin offers {role} {kind!r}; " + choice(role, usable, registry, how)


def _how(role: Role, kind: str, registry: Registry) -> str:
    """How to get a kind that nothing installed offers for a role."""
    for one in published():
        if kind in one.kinds.get(role, ()):
            if one.distribution in {broken.distribution for broken in registry.broken}:
                return f"{one.distribution} has it, which is installed and could not be loaded"
            return f"{one.distribution} has it: {one.how}"
    others = [found.role for found in registry.offers if found.offer.kind == kind]
    if others:
        return f"{kind!r} is offered for {' and '.join(others)}, not for {role}"
    if registry.broken:
        return _NOT_LOADED
    return _FROM_ELSEWHERE


_NOT_OURS: Final = "no distribution of this project has it: "
_NOT_LOADED: Final = (
    _NOT_OURS + "if it is of a plugin that could not be loaded, what is wrong with that one is told here"
)
_FROM_ELSEWHERE: Final = (
    f"{_NOT_OURS}install the one that does "
    f"(its entry point is in the group {ENTRY_POINT_GROUP}; kroma plugins then lists it)"
)


def choice(role: Role, offers: Sequence[InstalledOffer], registry: Registry, how: str | None = None) -> str:
    """What is installed for a role, what of it could not be loaded, and how to get what is wanted."""
    text = f"installed for {role}: {kinds(offers)}" if offers else f"nothing is installed for {role}"
    if how is None and not offers:
        fitting = [one for one in published() if role in one.kinds]
        told = ", ".join(f"{one.distribution} has {' and '.join(one.kinds[role])}" for one in fitting)
        how = told and f"{told}: {fitting[0].how}" + (", or another of them" if len(fitting) > 1 else "")
    unfit = filter(None, (incompatibility(found) for found in registry.of_role(role)))
    return "; ".join(filter(None, (text, *map(str, registry.broken), *unfit, how)))


def missing_libraries(distribution: str) -> tuple[str, ...]:
    """Requirements of an installed distribution that are not met: it would fail when its part is opened.

    What only some systems or extras need is left out, and so are versions: an installer sees to those.
    """
    try:
        stated = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return ()
    named = [(line, match[0]) for line in stated if ";" not in line and (match := _NAME.match(line))]
    return tuple(line for line, name in named if name != CORE and not _is_installed(name))


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def kinds(offers: Sequence[InstalledOffer]) -> str:
    """Offers by kind and distribution."""
    return ", ".join(f"{found.offer.kind} ({found.distribution})" for found in offers)
