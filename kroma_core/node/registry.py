"""What is installed: offers of every role, each with the distribution that it came from.

Plugins are found by entry points of the group `kroma.plugins`, one per distribution, in no particular order: nothing
here depends on it. A plugin that cannot be loaded is set aside and named; the others are not affected.
"""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
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

    def usable(self, role: Role) -> tuple[InstalledOffer, ...]:
        """Those that this core can use; the others count only where a profile names them."""
        return tuple(installed for installed in self.of_role(role) if incompatibility(installed) is None)

    def contest(self, role: Role, kind: str) -> str | None:
        """What to say of a kind that more than one distribution offers: nobody can tell which one is meant."""
        return _contest([found for found in self.of_role(role) if found.offer.kind == kind])

    def find(self, role: Role, kind: str) -> InstalledOffer | None:
        """The offer of that role and kind; where two distributions make it (see `contest`), the first."""
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
    older, do = ("newer", "a newer kroma-core, or an older") if wanted > API_VERSION else ("older", "a newer")
    return (
        f"{installed.role} {installed.offer.kind!r} of {installed.source} is written for plugin API {wanted}, "
        f"{older} than this node's API {API_VERSION}: install {do} {installed.distribution}"
    )


def _offers_of(distribution: str, version: str, plugin: object) -> list[InstalledOffer]:
    """Raises `Misshapen` with all that is wrong with them, and whatever the plugin's own code raises."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    if manager.register(plugin, name=distribution) is None:
        return []
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise Misshapen("its entry point offers nothing: is @hookimpl missing?")
    found: list[InstalledOffer] = []
    problems: list[str] = []
    for role, hook in HOOK_OF_ROLE.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            returned = implementation.function()
            if isinstance(returned, str) or not isinstance(returned, Iterable):
                problems.append(f"{hook} returned {type(returned).__name__}, expected a sequence of offers")
                continue
            for offer in returned:
                problems += (wrong := tuple(_wrong_with(role, offer)))
                if not wrong:
                    found.append(InstalledOffer(role=role, offer=offer, distribution=distribution, version=version))
    if problems:
        raise Misshapen("; ".join(problems))
    return found


class Misshapen(ValueError):
    """Offers that are none."""


def _wrong_with(role: Role, offer: object) -> Iterator[str]:
    """Why this is no offer. One for another API is asked for no more than its kind: it is refused as a whole."""
    if not isinstance(offer, Offer):
        missing = [field.name for field in attrs.fields(Offer) if not hasattr(offer, field.name)]
        without = f", without {', '.join(missing)}" if len(missing) < len(attrs.fields(Offer)) and missing else ""
        yield f"{HOOK_OF_ROLE[role]} returned {type(offer).__name__}{without}, expected an Offer"
        return
    if not isinstance(offer.kind, str) or not _KIND.fullmatch(offer.kind):
        yield f"the kind {offer.kind!r} of role {role} is not lower-case letters, digits, '_' and '-'"
        return
    name, api = f"{role} {offer.kind!r}", typing.cast(object, offer.api)
    if not isinstance(api, int):
        yield f"{name}: api is {api!r}, expected the number of a plugin API"
    elif api == API_VERSION:
        yield from (f"{name}: {text}" for text in _wrong_fields(offer))


def _wrong_fields(offer: AnyOffer) -> Iterator[str]:
    if not (isinstance(offer.config, type) and attrs.has(offer.config)):
        yield f"the config class {getattr(offer.config, '__name__', offer.config)!r} is not an attrs class"
    for field, value in (("open", offer.open), ("check", offer.check), ("inspect", offer.inspect)):
        if not callable(value) and not (field == "inspect" and value is None):
            yield f"{field} is {value!r}, expected a function"
    collections: tuple[tuple[str, object, type], ...] = (
        ("requires", offer.requires, Role),
        ("capabilities", offer.capabilities, Capability),
    )
    for field, values, wanted in collections:
        if isinstance(values, str) or not isinstance(values, Iterable):
            yield f"{field} is {values!r}, expected members of {wanted.__name__}"
            continue
        unknown = [value for value in values if not isinstance(value, wanted)]
        if unknown:
            yield f"{field} has {', '.join(map(repr, unknown))}, expected members of {wanted.__name__}"
        elif field == "requires" and callable(offer.open):
            yield from wrong_calling(offer)
    if callable(offer.open):
        yield from wrong_opening(offer)


def wrong_opening(offer: AnyOffer) -> Iterator[str]:
    """Why what `open` gives is no async context manager, as far as it shows without calling it."""
    for written, is_one in _NO_MANAGER:
        if is_one(offer.open):
            yield f"open is {written}: is @asynccontextmanager missing?"
            return
    if inspect.isgeneratorfunction(inspect.unwrap(offer.open)):
        yield "open gives a plain context manager: is @contextmanager written for @asynccontextmanager?"


def wrong_calling(offer: AnyOffer) -> Iterator[str]:
    """Why `open` cannot be called with the roles that its offer requires."""
    required = [role.value for role in offer.requires]
    try:
        signature = inspect.signature(offer.open)
    except ValueError:  # of what is not written in Python nothing can be said
        return
    try:
        signature.bind(None, None, **dict.fromkeys(required))
    except TypeError as error:
        called = ", ".join(("settings", "context", *(f"{role}=" for role in required)))
        yield f"open cannot be called as open({called}), which its `requires` asks for: {error}"


_NO_MANAGER: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("a generator function", inspect.isgeneratorfunction),
    ("an async generator function", inspect.isasyncgenfunction),
    ("a coroutine function", inspect.iscoroutinefunction),
)


def _contested(offers: Sequence[InstalledOffer]) -> list[str]:
    """One problem for each role and kind that more than one offer fills."""
    claimants: dict[tuple[Role, str], list[InstalledOffer]] = {}
    for found in offers:
        claimants.setdefault((found.role, found.offer.kind), []).append(found)
    return [contest for rivals in claimants.values() if (contest := _contest(rivals)) is not None]


def _contest(rivals: Sequence[InstalledOffer]) -> str | None:
    """What to say of offers of one role and kind, where they are several."""
    if len(rivals) < 2:
        return None
    return (
        f"{rivals[0].role} {rivals[0].offer.kind!r} is offered more than once: "
        f"by {' and by '.join(found.source for found in rivals)}; uninstall all but one"
    )


def _told(error: BaseException) -> str:
    if isinstance(error, Misshapen):
        return str(error)
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    unknown = _UNKNOWN_HOOK.search(told) if isinstance(error, pluggy.PluginValidationError) else None
    known = {hook.removeprefix(_PROVIDE): hook for hook in HOOK_OF_ROLE.values()}
    meant = difflib.get_close_matches(unknown[1].removeprefix(_PROVIDE), known, n=1) if unknown is not None else ()
    if meant:
        return f'{told}; did you mean "{known[meant[0]]}"?'
    return told + (_OTHER_API if _names_what_is_not_here(error) else "")


_PROVIDE = "provide_"
_UNKNOWN_HOOK = re.compile(r"unknown hook '(\w+)'")
_OTHER_API = f"; this node has plugin API {API_VERSION}: is the plugin written for another one?"


def _names_what_is_not_here(error: BaseException) -> bool:
    """Whether a plugin used something of core that this core does not have."""
    match error:
        case pluggy.PluginValidationError():
            return True
        case ImportError(name=str(name)):
            return name.partition(".")[0] == "kroma_core"
        case AttributeError(obj=owner):
            module = getattr(owner, "__module__", None) or getattr(owner, "__name__", "")
            return str(module).partition(".")[0] == "kroma_core"
        case TypeError():
            return str(error).startswith(f"{Offer.__name__}.__init__()")
    return False
