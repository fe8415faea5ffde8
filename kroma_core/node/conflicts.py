"""What a profile asks for that its parts cannot give together: each is a problem before anything opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from kroma_core.api.roles import Capability, Role
from kroma_core.node.profile import Isolation, PartTable, Profile
from kroma_core.node.registry import InstalledOffer

Chosen: TypeAlias = Sequence[tuple[PartTable, InstalledOffer]]
"""The tables of a profile, each with the offer that it comes to."""

_FOR_DERIVATION = frozenset({Role.L1, Role.BLOBS, Role.DATA, Role.P2P})
"""Roles that only a node that derives has a use for."""


def conflicts(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """Every problem of this kind."""
    yield from _unmet(profile, chosen)
    yield from _idle(profile, chosen)
    yield from _unserved(profile, chosen)
    yield from _inseparable(profile, chosen)
    yield from _groundless(profile, chosen)


def _unmet(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """Roles that parts require and that the profile has no part for: one that could not be found is told elsewhere."""
    present = {found.role for _, found in chosen} | {role for role, tables in profile.parts.items() if tables}
    filled = {Role.L1, Role.DATA, Role.ENGINE, Role.BLOBS} if profile.node.derive else {Role.ENGINE, Role.BLOBS}
    present |= filled - set(profile.parts)  # with what is installed, or it was told why not
    for table, found in chosen:
        for role in sorted(found.requires):
            if role not in present:
                yield f"{table.place}: {found.offer.kind!r} requires a part for role {role}, and the profile has none"


def _idle(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """What nothing would use, or two would: an engine has one rollup node that drives it."""
    servers = profile.servers
    if profile.node.derive:
        if servers.authrpc is not None:
            yield (
                "[authrpc]: another rollup node would drive the engine that this node drives itself; "
                "say derive = false in [node], or leave [authrpc] out"
            )
        return
    if servers.authrpc is None and servers.eth is None:
        yield "[node] derive = false: there is nothing to do; serve the engine with [authrpc]"
    required = {role for _, found in chosen for role in found.requires}
    for table, _ in chosen:
        if table.role in _FOR_DERIVATION - required:
            yield f"{table.place}: a node that does not derive (derive = false in [node]) has no use for it"


def _inseparable(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """An engine that cannot be given a process of its own: other parts would have to move there with it."""
    if profile.node.isolation is not Isolation.PROCESS:
        return
    for table, found in chosen:
        if table.role is Role.ENGINE and found.offer.requires:
            roles = ", ".join(found.offer.requires)
            yield (
                f"{table.place}: {found.offer.kind!r} requires {roles}, "
                "so it cannot have a process of its own (isolation in [node])"
            )


def _unserved(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """Servers that the parts of the profile have no answers for."""
    if profile.servers.rpc is not None and not profile.node.derive:
        yield "[rpc]: a node that does not derive (derive = false in [node]) has no status to tell; leave it out"
    asking = [name for name in ("eth", "authrpc") if getattr(profile.servers, name) is not None]
    for table, found in chosen:
        if table.role is Role.ENGINE and Capability.STATE_QUERIES not in found.capabilities:
            for name in asking:
                yield (
                    f"[{name}]: engine {found.offer.kind!r} ({found.source}) does not answer state queries here; "
                    "leave it out, and ask the execution client itself if it has a port of its own"
                )


def _groundless(profile: Profile, chosen: Chosen) -> Iterator[str]:
    """A checkpoint that nothing can be built on."""
    if profile.node.checkpoint is None:
        return
    if not profile.node.derive:
        yield "[node] checkpoint: a node that does not derive (derive = false) begins nowhere; leave it out"
    for table, found in chosen:
        if table.role is Role.ENGINE and Capability.EXECUTES not in found.capabilities:
            yield (
                f"[node] checkpoint: engine {found.offer.kind!r} ({found.source}) executes no blocks, so it has no "
                "state to begin with; leave it out, or name another engine"
            )
