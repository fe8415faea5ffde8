"""Engines in the shadow of an engine: the stand-in of the leading one, and how one that follows is compared with it.

Every block that the leading engine makes or accepts, and everything that it refuses, is put to those that follow: the
attributes to be made into a block, or the block where it came from elsewhere. One that lacks what comes before executes
the leading engine's blocks first.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from kroma_core.api import (
    AccountProof,
    Applied,
    Building,
    ExecutionEngine,
    Gone,
    Inconsistent,
    Invalid,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.chain.config import ChainConfig
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.node.isolation.process import started
from kroma_core.node.plan import PlannedPart
from kroma_core.node.shadow.engine_answer import EngineStep, Question, question_of
from kroma_core.node.shadow.engine_comparison import EngineComparison, RemoteFollower
from kroma_core.node.shadow.engine_follower import (
    EngineFollowerHost,
    Layer,
)
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import Leading, follower_name, version_of
from kroma_core.types import Address, Hash32, L2Number

_REMEMBERED: Final = 16
"""Blocks under construction, and blocks made of attributes, that the stand-in keeps in mind."""


class ShadowedEngine:
    """The leading engine, for everybody who uses it. What optional protocols it has are its own."""

    def __init__(self, engine: ExecutionEngine, config: ChainConfig, followers: Sequence[Follower[EngineStep]]) -> None:
        self._engine, self._config, self._followers = engine, config, followers
        self._buildings: dict[bytes, tuple[PayloadAttributes, ForkchoiceState]] = {}
        self._sealed: dict[Hash32, tuple[PayloadAttributes, ForkchoiceState]] = {}
        self._pending: EngineStep | None = None
        self._begun = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def heads(self) -> ForkchoiceState:
        return await self._engine.heads()

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        found = await self._engine.block(block)
        if block is L2Label.UNSAFE and not self._begun:
            self._begun = True  # those that follow have to come here first, also where nothing new comes for long
            if found.number > self._config.rollup.genesis.l2.number:
                self._tell(EngineStep(question=question_of(found, self._config), made=found))
        return found

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        return await self._engine.receipts(block_hash)

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        self._flush()
        result = await self._engine.build(parent, attributes, heads)
        if isinstance(result, Building):
            _keep(self._buildings, result.id, (attributes, heads))
        elif isinstance(result, Invalid):
            self._tell_refused(parent, attributes, heads, result)
        return result

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        result = await self._engine.seal(building)
        known = self._buildings.pop(building.id, None)
        if known is not None and isinstance(result, Sealed):
            attributes, heads = known
            # What came from the pool is forced upon those that follow: they have pools of their own.
            asked = attrs.evolve(attributes, transactions=result.payload.transactions, no_tx_pool=True)
            _keep(self._sealed, result.payload.hash, (asked, heads))
        elif known is not None and isinstance(result, Invalid):
            self._tell_refused(building.parent, *known, result)
        return result

    async def cancel(self, building: Building) -> None:
        self._buildings.pop(building.id, None)
        await self._engine.cancel(building)

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        self._flush()
        result = await self._engine.execute(payload)
        known = self._sealed.pop(payload.hash, None)
        if known is not None:
            attributes, heads = known
            question = Question(parent=payload.parent_hash, attributes=attributes, payload=None, heads=heads)
        else:
            question = question_of(payload, self._config)
        if isinstance(result, Valid):
            self._pending = EngineStep(question=question, made=payload)
        elif isinstance(result, Invalid):
            self._tell(EngineStep(question=question, made=None, refused=result.reason))
        return result

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        result = await self._engine.set_heads(heads)
        if isinstance(result, Applied) and self._pending is not None:
            made = self._pending.made
            if made is not None and made.hash == heads.unsafe:
                question = attrs.evolve(self._pending.question, heads=heads)
                self._pending = attrs.evolve(self._pending, question=question)
        self._flush()
        return result

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        return await self._engine.proof(address, slots, block_hash)

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        return await self._engine.storage_root(address, block_hash)

    def _tell_refused(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState, invalid: Invalid
    ) -> None:
        if attributes.no_tx_pool:
            question = Question(parent=parent, attributes=attributes, payload=None, heads=heads)
            self._tell(EngineStep(question=question, made=None, refused=invalid.reason))

    def _flush(self) -> None:
        """Hand over a block that waits for the heads that come with it."""
        if self._pending is not None:
            step, self._pending = self._pending, None
            self._tell(step)

    def _tell(self, step: EngineStep) -> None:
        for follower in self._followers:
            follower.offer(step)


def _keep(known: dict[bytes, Any], key: bytes, value: Any) -> None:
    known[key] = value
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]


def layers_of(part: PlannedPart) -> tuple[Layer, ...]:
    """The engine of a plan, the part in front first."""
    return tuple(
        Layer(kind=layer.installed.offer.kind, settings=layer.settings, data_dir=layer.data_dir)
        for layer in part.layers
    )


def shadow_engine(leading: Leading) -> ShadowedEngine:
    """The stand-in of a leading engine whose followers have processes of their own."""
    engine: ExecutionEngine = leading.open_part
    followers = [leading.follower(part, functools.partial(_comparing, leading, part)) for part in leading.part.shadows]
    return ShadowedEngine(engine, leading.chain, followers)


@asynccontextmanager
async def _comparing(leading: Leading, part: PlannedPart) -> AsyncIterator[EngineComparison]:
    name = follower_name(leading.part, part)
    waiting = next(one for one in leading.followers if one.name == name).steps
    host = EngineFollowerHost(layers=layers_of(part), chain=leading.chain)
    async with started(host, name, leading.told_by(name)) as child:
        yield EngineComparison(
            leading=leading.open_part,
            follower=RemoteFollower(child),
            config=leading.chain,
            leader_version=leading.version,
            follower_version=version_of(part),
            waiting=waiting,
        )
