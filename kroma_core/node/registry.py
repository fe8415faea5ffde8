"""What is installed: offers of every role, each with the distribution that it came from.

Plugins are found by entry points of the group `kroma.plugins`, one per distribution, in no particular order: nothing
here depends on it. A plugin that cannot be loaded is set aside and named; the others are not affected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from types import ModuleType
from typing import Any, Protocol

import attrs
import pluggy

from kroma_core.api import hooks
from kroma_core.api.hooks import ENTRY_POINT_GROUP, HOOK_OF_ROLE, PROJECT
from kroma_core.api.offers import AnyOffer, Offer
from kroma_core.api.roles import API_VERSION, Capability, Role
from kroma_core.errors import KromaError

_KIND = re.compile(r"[a-z][a-z0-9_-]*")

_LOAD_FAILURES = (
    ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError, OSError, RuntimeError,
    ArithmeticError, AssertionError, KromaError, pluggy.PluginValidationError,
)  # fmt: skip
"""What running somebody's module can raise for reasons that concern this module alone."""


@attrs.frozen(kw_only=True)
class InstalledOffer:
    """An offer and who made it."""

    role: Role
    offer: AnyOffer
    distribution: str
    version: str
    wraps: InstalledOffer | None = None
    """What it stands on, where it requires another part of its own role and a profile has said which."""

    @property
    def source(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def is_wrapper(self) -> bool:
        """Whether it stands on another part of its own role."""
        return self.role in self.offer.requires

    @property
    def requires(self) -> frozenset[Role]:
        """The other roles that have to be open before it, and before what it stands on."""
        below = self.wraps.requires if self.wraps is not None else frozenset()
        return (frozenset(self.offer.requires) - {self.role}) | below

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do: of a part that stands on another, what both can."""
        return self.offer.capabilities & self.wraps.capabilities if self.wraps is not None else self.offer.capabilities


@attrs.frozen(kw_only=True)
class BrokenPlugin:
    """A distribution whose plugin could not be loaded, and why."""

    distribution: str
    version: str
    error: str

    def __str__(self) -> str:
        return f"plugin {self.distribution} {self.version} could not be loaded: {self.error}"


@attrs.frozen(kw_only=True)
class Registry:
    """All offers (ordered by role, kind, distribution), and what is wrong with the installation as a whole."""

    offers: tuple[InstalledOffer, ...]
    broken: tuple[BrokenPlugin, ...] = ()
    problems: tuple[str, ...] = ()

    def of_role(self, role: Role) -> tuple[InstalledOffer, ...]:
        return tuple(installed for installed in self.offers if installed.role is role)

    def find(self, role: Role, kind: str) -> InstalledOffer | None:
        """The offer of that role and kind; where two distributions make it (a problem of its own), the first."""
        return next((found for found in self.of_role(role) if found.offer.kind == kind), None)


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that counts here: a module to load and where it came from."""

    @property
    def value(self) -> str: ...

    @property
    def dist(self) -> Any: ...

    def load(self) -> Any: ...


def discover(entry_points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every plugin's offers; by default those of all installed distributions."""
    if entry_points is None:
        entry_points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    plugins: list[tuple[str, str, object]] = []
    broken: list[BrokenPlugin] = []
    for entry_point in sorted(entry_points, key=lambda entry: (entry.dist.name, entry.value)):
        name, version = entry_point.dist.name, entry_point.dist.version
        try:
            plugins.append((name, version, entry_point.load()))
        except _LOAD_FAILURES as error:
            broken.append(BrokenPlugin(distribution=name, version=version, error=_told(error)))
    registry = collect(plugins)
    return attrs.evolve(registry, broken=(*broken, *registry.broken))


def collect(plugins: Sequence[tuple[str, str, ModuleType | object]]) -> Registry:
    """The offers of loaded plugins, given as (distribution, version, module or object with hook implementations)."""
    offers: list[InstalledOffer] = []
    broken: list[BrokenPlugin] = []
    for distribution, version, plugin in plugins:
        try:
            offers += _offers_of(distribution, version, plugin)
        except _LOAD_FAILURES as error:
            broken.append(BrokenPlugin(distribution=distribution, version=version, error=_told(error)))
    offers.sort(key=lambda found: (list(Role).index(found.role), found.offer.kind, found.distribution))
    return Registry(offers=tuple(offers), broken=tuple(broken), problems=tuple(_contested(offers)))


def incompatibility(installed: InstalledOffer) -> str | None:
    """Why this core cannot use an offer, if so."""
    wanted = installed.offer.api
    if wanted == API_VERSION:
        return None
    older = "newer" if wanted > API_VERSION else "older"
    return (
        f"{installed.role} {installed.offer.kind!r} of {installed.source} is written for plugin API {wanted}, "
        f"{older} than this node's API {API_VERSION}"
    )


def _offers_of(distribution: str, version: str, plugin: object) -> list[InstalledOffer]:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    if manager.register(plugin, name=distribution) is None:
        return []
    manager.check_pending()
    found: list[InstalledOffer] = []
    for role, hook in HOOK_OF_ROLE.items():
        for offers in getattr(manager.hook, hook)():
            for offer in offers:
                found.append(_installed(role, offer, distribution, version))
    return found


def _installed(role: Role, offer: object, distribution: str, version: str) -> InstalledOffer:
    if not isinstance(offer, Offer):
        raise TypeError(f"{HOOK_OF_ROLE[role]} returned {type(offer).__name__}, expected an Offer")
    if not _KIND.fullmatch(offer.kind):
        raise ValueError(f"the kind {offer.kind!r} of role {role} is not lower-case letters, digits, '_' and '-'")
    if not attrs.has(offer.config):
        raise TypeError(f"the config class of {role} {offer.kind!r} is not an attrs class")
    return InstalledOffer(role=role, offer=offer, distribution=distribution, version=version)


def _contested(offers: Sequence[InstalledOffer]) -> list[str]:
    """One problem for each role and kind that more than one offer fills."""
    claimants: dict[tuple[Role, str], list[InstalledOffer]] = {}
    for found in offers:
        claimants.setdefault((found.role, found.offer.kind), []).append(found)
    return [
        f"{role} {kind!r} is offered more than once: by {' and by '.join(found.source for found in rivals)}; "
        "uninstall all but one"
        for (role, kind), rivals in claimants.items()
        if len(rivals) > 1
    ]


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
