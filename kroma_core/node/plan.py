"""What a profile comes to with the plugins that are installed: the chain, and every part with its settings.

A plan is made without opening anything, and finds every problem at once: unknown kinds and keys, missing plugins and
files, capabilities that an offer lacks, forks out of order, ports asked for twice.
"""

from __future__ import annotations

import shlex
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kroma_core.api.roles import Capability, Role
from kroma_core.api.settings import InputFile, RecordingFile
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import ConfigError
from kroma_core.node.absent import absent_kind, choice, kinds, missing_libraries
from kroma_core.node.chain_choice import chain_of_recording, chain_of_table
from kroma_core.node.conflicts import conflicts
from kroma_core.node.ports import clashing_ports
from kroma_core.node.profile import (
    BESIDE_SETTINGS,
    MANY,
    ChainTable,
    ExplainTable,
    Isolation,
    NodeTable,
    PartTable,
    Profile,
    ServerTables,
    empty_profile,
    read_profile,
)
from kroma_core.node.registry import InstalledOffer, Registry, incompatibility
from kroma_core.node.settings import SettingsReader
from kroma_core.node.shadow.planning import DIVERGENCES, FOLDER, unfollowable
from kroma_core.node.shadow.table import ShadowTable

_ORDER = (Role.OBSERVE, Role.L1, Role.BLOBS, Role.DATA, Role.ENGINE, Role.P2P, Role.PROOF)
"""Parts are opened in this order where requirements do not say otherwise: observers see the rest begin."""


@attrs.frozen(kw_only=True)
class PlannedPart:
    """One part: which offer makes it, with which settings, and the folder that is its own.

    `table` is the profile's, or stands for what the profile leaves out.
    """

    installed: InstalledOffer
    settings: Any
    data_dir: Path
    table: PartTable
    wraps: PlannedPart | None = None
    shadows: tuple[PlannedPart, ...] = ()
    """The parts that follow this one."""

    @property
    def layers(self) -> tuple[PlannedPart, ...]:
        """This part, what it stands on, and what that stands on."""
        return (self, *self.wraps.layers) if self.wraps is not None else (self,)

    @property
    def role(self) -> Role:
        return self.installed.role

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.role} {self.installed.offer.kind!r} ({self.installed.source})"

    def __str__(self) -> str:
        return self.name


@attrs.frozen(kw_only=True)
class Plan:
    """A node that can be opened. `parts` are in opening order, those of one role in profile order."""

    name: str
    profile: Profile
    chain: ChainConfig
    node: NodeTable
    servers: ServerTables
    data_dir: Path
    parts: tuple[PlannedPart, ...]
    explain: ExplainTable = attrs.field(factory=ExplainTable)
    shadow: ShadowTable = attrs.field(factory=ShadowTable)
    divergences: Path | None = None
    """Where bundles of divergences are kept; None: in the data directory."""

    def of_role(self, role: Role) -> tuple[PlannedPart, ...]:
        return tuple(part for part in self.parts if part.role is role)

    @property
    def layers(self) -> tuple[PlannedPart, ...]:
        """All parts, those too that others stand on."""
        return tuple(layer for part in self.parts for each in (part, *part.shadows) for layer in each.layers)

    @property
    def executes(self) -> bool:
        """Whether the engine computes blocks itself, rather than answering with recorded ones."""
        return any(Capability.EXECUTES in part.installed.capabilities for part in self.of_role(Role.ENGINE))


def plan_profile(path: Path, registry: Registry, environment: Mapping[str, str], *, strict: bool = False) -> Plan:
    """The plan of a profile file. Raises `ConfigError` with every problem of it.

    With `strict`, what is only odd about the chain's files is a problem too.
    """
    problems: list[str] = []
    profile = read_profile(path, environment, problems)
    if profile.chain is None:
        problems.append(f"{path}: [chain]: missing; name a built-in chain, a rollup file or a recording")
        chain = None
    else:
        chain = chain_of_table(profile.chain, f"{path}: [chain]", problems, strict=strict)
    return _plan(profile, chain, registry, problems)


def plan_replay(
    recording: Path,
    profile: Path | None,
    registry: Registry,
    environment: Mapping[str, str],
    data_dir: Path,
    *,
    without_execution: bool = False,
) -> Plan:
    """The plan that derives and executes a recording with the parts of a profile, or with those that fit.

    The chain, L1 and blobs are the recording's; every setting of type `RecordingFile` is set to it. Where the profile
    names no engine, one that executes and needs no settings is taken; `without_execution`, one that plays recordings.
    Where it names no data sources, all that are installed are. Parts in the shadow of others stay what they are, and
    bundles of divergences are kept where a node with this profile keeps them.
    """
    if not recording.is_file():
        raise ConfigError(f"{recording}: {'not a file' if recording.exists() else 'there is no such file'}")
    problems: list[str] = []
    given = read_profile(profile, environment, problems) if profile is not None else empty_profile(environment)
    chain = chain_of_recording(recording, problems)
    parts = dict(given.parts)
    for role in (Role.L1, Role.BLOBS):
        parts[role] = _playing(role, parts.get(role, ()), registry, problems)
    if Role.DATA not in parts:
        free = [found for found in registry.usable(Role.DATA) if not _mandatory(found)]
        parts[Role.DATA] = tuple(_table_for(found) for found in free)
    if Role.ENGINE not in parts:
        fitting = [
            found
            for found in registry.usable(Role.ENGINE)
            if not found.is_wrapper
            and (
                _plays(found)
                if without_execution
                else Capability.EXECUTES in found.offer.capabilities and not _mandatory(found)
            )
        ]
        which = "that plays recordings" if without_execution else "that executes blocks"
        parts[Role.ENGINE] = _only(Role.ENGINE, fitting, registry, which, problems)
    node = attrs.evolve(
        given.node, data_dir=data_dir, stop_after=None, derive=True, isolation=Isolation.NONE, checkpoint=None
    )
    filled = {
        role: tuple(_with_recording(table, recording, registry) for table in tables) for role, tables in parts.items()
    }
    replayed = attrs.evolve(
        given, chain=ChainTable(recording=InputFile(recording)), node=node, servers=ServerTables(), parts=filled
    )
    plan = _plan(replayed, chain, registry, problems)
    return attrs.evolve(plan, divergences=_data_dir(given) / DIVERGENCES)


def _data_dir(profile: Profile) -> Path:
    return profile.node.data_dir or profile.reader.base / "data" / profile.name


def _plan(profile: Profile, chain: ChainConfig | None, registry: Registry, problems: list[str]) -> Plan:
    data_dir = _data_dir(profile)
    chosen: list[tuple[PartTable, InstalledOffer]] = []
    demanded = {Role.L1, Role.DATA, Role.ENGINE} if profile.node.derive else {Role.ENGINE}
    for role in Role:
        tables = profile.parts.get(role)
        if tables is None and role in demanded:
            tables = _only(role, registry.usable(role), registry, "", problems)
        chosen += _resolved(tables or (), registry, problems)
    asking = [found for _, found in chosen if Role.BLOBS in found.requires]
    if Role.BLOBS not in profile.parts and asking:
        which = f"that {asking[0].role} {asking[0].offer.kind!r} requires"
        tables = _only(Role.BLOBS, registry.usable(Role.BLOBS), registry, which, problems)
        chosen += _resolved(tables, registry, problems)
    problems += conflicts(profile, chosen)
    parts: list[PlannedPart] = []
    for table, found in chosen:
        above = [layer for part in parts for layer in part.layers]
        parts.append(_planned(table, found, above, data_dir, chain, profile.reader, problems))
    parts = _with_followers(parts, profile, data_dir, chain, registry, problems)
    every = [layer for part in parts for each in (part, *part.shadows) for layer in each.layers]
    asked = [(str(layer), layer.settings) for layer in every if layer.settings is not None]
    problems += clashing_ports(asked, profile.servers)
    ordered = _in_opening_order(parts, problems)
    if problems or chain is None:
        raise ConfigError(*problems)
    return Plan(
        name=profile.name,
        profile=profile,
        chain=chain,
        node=profile.node,
        explain=profile.explain,
        shadow=profile.shadow,
        servers=profile.servers,
        data_dir=data_dir,
        parts=tuple(ordered),
    )


def _planned(
    table: PartTable,
    found: InstalledOffer,
    above: Sequence[PlannedPart],
    data_dir: Path,
    chain: ChainConfig | None,
    reader: SettingsReader,
    problems: list[str],
) -> PlannedPart:
    """A part with its settings, and what it stands on; `above` are those planned so far."""
    settings: Any = reader.read(table.settings, found.offer.config, table.place, problems, beside=BESIDE_SETTINGS)
    if settings is not None and chain is not None:
        problems += [f"{table.place}: {problem}" for problem in found.offer.check(settings, chain)]
    same = sum(part.installed.offer is found.offer for part in above)
    folder = found.offer.kind + (f"-{same + 1}" if same else "")
    part = PlannedPart(installed=found, settings=settings, data_dir=data_dir / found.role / folder, table=table)
    if table.wraps is None or found.wraps is None:
        return part
    below = _planned(table.wraps, found.wraps, [*above, part], data_dir, chain, reader, problems)
    return attrs.evolve(part, wraps=below)


def _with_followers(
    parts: Sequence[PlannedPart],
    profile: Profile,
    data_dir: Path,
    chain: ChainConfig | None,
    registry: Registry,
    problems: list[str],
) -> list[PlannedPart]:
    """The parts, each with those that follow it, which have folders of their own."""
    present = frozenset(part.role for part in parts)
    above: list[PlannedPart] = []
    led = []
    for part in parts:
        followers = _resolved(part.table.shadows, registry, problems)
        problems += unfollowable(part.table, followers, present, profile)
        first = len(above)
        for table, found in followers:
            above.append(_planned(table, found, above, data_dir / FOLDER, chain, profile.reader, problems))
        led.append(attrs.evolve(part, shadows=tuple(above[first:])))
    return led


def _resolved(
    tables: Sequence[PartTable], registry: Registry, problems: list[str]
) -> list[tuple[PartTable, InstalledOffer]]:
    """The offers that tables name; what they cannot have is a problem."""
    found: list[tuple[PartTable, InstalledOffer]] = []
    for table in tables:
        named = _named(table, registry, problems)
        contest = registry.contest(named.role, named.offer.kind) if named is not None else None
        if contest is not None:
            problems.append(f"{table.place}: {contest}")
        incompatible = incompatibility(named) if named is not None else None
        if incompatible is not None:
            problems.append(f"{table.place}: {incompatible}")
        if named is None or incompatible is not None:
            inner = (table.wraps,) if table.wraps is not None else ()
            _resolved((*inner, *table.shadows), registry, problems)  # what is wrong there is told as well
            continue
        if lacking := missing_libraries(named.distribution):
            problems.append(
                f"{table.place}: {named.offer.kind!r} ({named.source}) depends on {', '.join(lacking)}, which is not "
                f"installed: pip install {shlex.join(lacking)}"
            )
        table, offer = _with_wrapped(table, named, registry, problems)
        missing = table.needs - offer.capabilities
        if missing:
            others = registry.usable(table.role)
            able = [other.offer.kind for other in others if table.needs <= other.offer.capabilities]
            problems.append(
                f"{table.place} needs: {offer.offer.kind!r} ({offer.source}) lacks {', '.join(sorted(missing))}; "
                + (f"there is {', '.join(able)}" if able else f"no installed {table.role} has it")
            )
        found.append((table, offer))
    return found


def _with_wrapped(
    table: PartTable, found: InstalledOffer, registry: Registry, problems: list[str]
) -> tuple[PartTable, InstalledOffer]:
    """A part that stands on another of its role, with that one: as the table says, or the only one that there is."""
    if not found.is_wrapper:
        if table.wraps is not None:
            problems.append(f"{table.wraps.place}: {found.offer.kind!r} stands on no other {found.role}")
        return attrs.evolve(table, wraps=None), found
    candidates = [other for other in registry.usable(found.role) if not other.is_wrapper]
    tables = [table.wraps] if table.wraps is not None else [_table_for(other) for other in candidates]
    if table.wraps is None and len(candidates) != 1:
        others = choice(found.role, candidates, registry)
        problems.append(f"{table.place} wraps: missing; {found.offer.kind!r} stands on another {found.role}; {others}")
        return table, found
    below = _resolved(tables, registry, problems)
    if not below:
        return table, found
    return attrs.evolve(table, wraps=below[0][0]), attrs.evolve(found, wraps=below[0][1])


def _named(table: PartTable, registry: Registry, problems: list[str]) -> InstalledOffer | None:
    if table.kind is None:
        only = [found for found in registry.usable(table.role) if not found.is_wrapper]
        if len(only) == 1:
            return only[0]
        problems.append(f"{table.place} kind: missing; {choice(table.role, only, registry)}")
        return None
    found = registry.find(table.role, table.kind)
    if found is None:
        problems.append(f"{table.place} kind: {absent_kind(table.role, table.kind, registry)}")
    return found


def _only(
    role: Role, candidates: Sequence[InstalledOffer], registry: Registry, which: str, problems: list[str]
) -> tuple[PartTable, ...]:
    """The table of the one offer that can fill a role which a profile leaves out."""
    candidates = [found for found in candidates if not found.is_wrapper]
    if len(candidates) == 1:
        return (_table_for(candidates[0]),)
    header = f"[[{role}]]" if role in MANY else f"[{role}]"
    wanted = " ".join(filter(None, ("one", which)))
    if candidates:
        problems.append(f"{header}: the profile names none, and several are installed: {kinds(candidates)}")
    else:
        others = choice(role, registry.usable(role), registry)
        problems.append(f"{header}: the profile names none, and {wanted} is not installed; {others}")
    return ()


def _table_for(found: InstalledOffer) -> PartTable:
    header = f"[[{found.role}]]" if found.role in MANY else f"[{found.role}]"
    return PartTable(role=found.role, place=f"{header} {found.offer.kind}", kind=found.offer.kind)


def _recording_settings(found: InstalledOffer) -> list[str]:
    """Names of the settings that take a recording."""
    if incompatibility(found) is not None:
        return []
    return [name for name, hint in typing.get_type_hints(found.offer.config).items() if hint is RecordingFile]


def _plays(found: InstalledOffer) -> bool:
    return bool(_recording_settings(found))


def _mandatory(found: InstalledOffer) -> bool:
    return any(field.default is attrs.NOTHING for field in attrs.fields(found.offer.config))


def _playing(role: Role, tables: Sequence[PartTable], registry: Registry, problems: list[str]) -> tuple[PartTable, ...]:
    """The tables of a role that play recordings; else that of the one installed offer that does."""
    named = [(table, registry.find(role, table.kind)) for table in tables if table.kind is not None]
    playing = tuple(table for table, found in named if found is not None and _plays(found))
    if playing:
        return playing
    fitting = [found for found in registry.usable(role) if _plays(found)]
    shadows = tuple(shadow for table in tables for shadow in table.shadows)
    taken = _only(role, fitting, registry, "that plays recordings", problems)
    return tuple(attrs.evolve(table, shadows=shadows) for table in taken)


def _with_recording(table: PartTable, recording: Path, registry: Registry) -> PartTable:
    found = registry.find(table.role, table.kind) if table.kind is not None else None
    if table.wraps is not None:
        table = attrs.evolve(table, wraps=_with_recording(table.wraps, recording, registry))
    shadows = tuple(_unless_named(shadow, _with_recording(shadow, recording, registry)) for shadow in table.shadows)
    table = attrs.evolve(table, shadows=shadows)
    if found is None:
        return table
    played = {name: str(recording.absolute()) for name in _recording_settings(found)}
    return attrs.evolve(table, settings={**table.settings, **played})


def _unless_named(table: PartTable, filled: PartTable) -> PartTable:
    """The table of a part that follows, with a recording filled in only where it names none: it may play another."""
    return attrs.evolve(filled, settings={**filled.settings, **table.settings})


def _in_opening_order(parts: Sequence[PlannedPart], problems: list[str]) -> list[PlannedPart]:
    needed: dict[Role, set[Role]] = {role: set() for role in _ORDER}
    for part in parts:
        needed[part.role] |= frozenset().union(*(each.installed.requires for each in (part, *part.shadows)))
    roles: list[Role] = []
    waiting = list(_ORDER)
    while waiting:
        ready = next((role for role in waiting if needed[role] <= set(roles)), None)
        if ready is None:
            circle = [role for role in waiting if needed[role]]
            problems.append(f"these roles require each other: {', '.join(circle)}")
            return []
        waiting.remove(ready)
        roles.append(ready)
    return sorted(parts, key=lambda part: roles.index(part.role))
