"""Asking again what a bundle asks, offline, of parts that are installed here; and whether the answers still differ."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from kroma_core.api.roles import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.errors import ConfigError
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.node.registry import InstalledOffer, Registry
from kroma_core.node.shadow.bundle import Bundle
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.recording.compare import Difference


class Side(enum.StrEnum):
    """The two that differed."""

    LEADER = "leader"
    FOLLOWER = "follower"


@attrs.frozen(kw_only=True)
class Asked:
    """What came of one side.

    `version` is the part that was asked here, or that of then where a hash judges its answer; None where neither is so,
    and the bundle counts.
    """

    side: Side
    version: PartVersion | None
    note: str
    """In words: it gives the same as then, something else, or why it was not asked."""


@attrs.frozen(kw_only=True)
class Replayed:
    """What came of a replay; no differences: the two agree now."""

    sides: tuple[Asked, ...]
    differences: tuple[Difference, ...]


@attrs.frozen(kw_only=True)
class ReplayTask:
    """What a role's replay is given. `folder` is empty and its alone; `plan` is that of `--profile`, if given."""

    bundle: Bundle
    chain: ChainConfig
    registry: Registry
    plan: Plan | None
    folder: Path

    def part(self, side: Side) -> PlannedPart | InstalledOffer | None:
        """The part of that kind: from the profile, with its settings; else an installed offer that needs none."""
        divergence = self.bundle.divergence
        wanted = divergence.leader if side is Side.LEADER else divergence.follower
        if self.plan is not None:
            for part in self.plan.of_role(divergence.role):
                for each in (part, *part.shadows):
                    if each.installed.offer.kind == wanted.kind:
                        return each
        found = self.registry.find(divergence.role, wanted.kind)
        if found is None or found.is_wrapper:
            return None
        needs_settings = any(field.default is attrs.NOTHING for field in attrs.fields(found.offer.config))
        return None if needs_settings or found.offer.requires else found


Replay: TypeAlias = Callable[[ReplayTask], Awaitable[Replayed]]


def replays() -> dict[Role, Replay]:
    """What replays the bundles of each role that can be shadowed."""
    from kroma_core.node.shadow.engine_replay import replay_engine
    from kroma_core.node.shadow.source_replay import replay_source

    return {
        Role.L1: replay_source,
        Role.BLOBS: replay_source,
        Role.DATA: replay_source,
        Role.ENGINE: replay_engine,
    }


def chain_of(bundle: Bundle) -> ChainConfig:
    """The chain that a bundle carries. Raises `ConfigError`."""
    return chain_from_json(bundle.chain.rollup, bundle.chain.genesis, bundle.chain.l1, source=str(bundle.path))


async def replay(bundle: Bundle, registry: Registry, plan: Plan | None, folder: Path) -> Replayed:
    """Ask again. Raises `ConfigError` where no part here can be asked, `DecodeError` where the inputs are damaged."""
    chain = chain_of(bundle)
    ours = None if plan is None else plan.chain.rollup
    if ours is not None and (ours.l2_chain_id, ours.genesis) != (chain.rollup.l2_chain_id, chain.rollup.genesis):
        raise ConfigError(
            f"{bundle.path}: it is of chain {chain.rollup.l2_chain_id}, the profile is for chain {ours.l2_chain_id}"
        )
    task = ReplayTask(bundle=bundle, chain=chain, registry=registry, plan=plan, folder=folder)
    found = await replays()[bundle.divergence.role](task)
    if all(side.version is None for side in found.sides):
        raise ConfigError(
            *(f"{bundle.path}: the {side.side} cannot be asked here: {side.note}" for side in found.sides)
        )
    return found


NOT_INSTALLED: Final = "nothing of its kind is installed here that works without settings; --profile can give them"
