"""The parts that a profile puts into the shadow of others, as far as that can be said before anything opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kroma_core.api.roles import Role
from kroma_core.node.profile import PartTable, Profile
from kroma_core.node.registry import InstalledOffer
from kroma_core.node.shadow.table import ShadowPolicy

FOLLOWED: Final = frozenset({Role.L1, Role.BLOBS, Role.DATA, Role.ENGINE})
"""Roles whose parts can have others in their shadow."""
DIVERGENCES: Final = "divergences"
"""The folder of bundles, in the data directory."""
FOLDER: Final = "shadow"
"""Where followers keep what they store, in the data directory: never among what the leading parts have."""


def unfollowable(
    table: PartTable, followers: Sequence[tuple[PartTable, InstalledOffer]], present: frozenset[Role], profile: Profile
) -> Iterator[str]:
    """What is wrong with the shadows of a part's table; `present` are the roles that the profile fills."""
    if table.shadows and table.role not in FOLLOWED:
        yield f"{table.place} shadow: a part for {table.role} cannot be followed; {', '.join(sorted(FOLLOWED))} can"
    if table.wraps is not None and table.wraps.shadows:
        yield f"{table.wraps.place} shadow: what another part stands on cannot be followed; say it of that part"
    for each, found in followers:
        if each.shadows:
            yield f"{each.place} shadow: a part in the shadow of another has none itself"
        if table.role is Role.ENGINE and found.requires:
            roles = ", ".join(sorted(found.requires))
            yield f"{each.place}: {found.offer.kind!r} requires {roles}, so it cannot have a process of its own"
            continue
        for role in sorted(found.requires - present):
            yield f"{each.place}: {found.offer.kind!r} requires a part for role {role}, and the profile has none"
    if profile.shadow.policy is ShadowPolicy.MAJORITY and len(table.shadows) == 1:
        yield f"{table.place} shadow: a majority takes three parts or more, and these are 2 (policy in [shadow])"
