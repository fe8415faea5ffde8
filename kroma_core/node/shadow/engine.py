"""Engines in the shadow of an engine: the stand-in of the leading one, and how one that follows is compared with it.

Every block that the leading engine makes or accepts, and everything that it refuses, is put to those that follow: the
attributes to be made into a block, or the block where it came from elsewhere. One that lacks what comes before executes
the leading engine's blocks first.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import attrs
import trio

from kroma_core.api import (
    AccountProof,
    Applied,
    Building,
    ExecutionEngine,
    Gone,
    Inconsistent,
    Invalid,
    Role,
    Sealed,
    Syncing,
    Valid,
)
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import CriticalError, NotFound
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.node.isolation.process import ChildProcess, started
from kroma_core.node.plan import PlannedPart
from kroma_core.node.shadow.divergence import (
    Agreed,
    Behind,
    Cursor,
    Differs,
    Divergence,
    Outcome,
    PartVersion,
    Place,
    Unanswered,
)
from kroma_core.node.shadow.engine_answer import (
    EngineAnswer,
    Expectation,
    Made,
    Question,
    Refused,
    answer_differences,
    answer_json,
    attributes_of,
    digest_of,
)
from kroma_core.node.shadow.engine_bundle import engine_inputs
from kroma_core.node.shadow.engine_follower import (
    EngineFollowerHost,
    Followed,
    Lacks,
    Layer,
    Other,
    passer_root,
)
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import Leading, follower_name, version_of
from kroma_core.types import Address, BlockId, Hash32, L2Number

_REMEMBERED: Final = 16
"""Blocks under construction, and blocks made of attributes, that the stand-in keeps in mind."""
_BRANCH: Final = 64
"""Blocks that a follower may lack on any branch; of more, those on the leading engine's canonical chain come first."""
_SLICE: Final = 0.5
"""Seconds of catching up after which a follower says that it is alive."""


@attrs.frozen(kw_only=True)
class EngineStep:
    """What the leading engine was asked, and whether it has a block of it: its hash, or the reason why not."""

    question: Question
    made: Payload | None
    refused: str = ""


class ShadowedEngine:
    """The leading engine, for everybody who uses it. What optional protocols it has are its own."""

    def __init__(self, engine: ExecutionEngine, config: ChainConfig, followers: Sequence[Follower[EngineStep]]) -> None:
        self._engine, self._config, self._followers = engine, config, followers
        self._buildings: dict[bytes, tuple[PayloadAttributes, ForkchoiceState]] = {}
        self._sealed: dict[Hash32, tuple[PayloadAttributes, ForkchoiceState]] = {}
        self._pending: EngineStep | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def heads(self) -> ForkchoiceState:
        return await self._engine.heads()

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        return await self._engine.block(block)

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


def question_of(payload: Payload, config: ChainConfig) -> Question:
    """What to ask of a block that came from elsewhere."""
    attributes = attributes_of(payload, config)
    return Question(parent=payload.parent_hash, attributes=attributes, payload=payload, heads=None)


def _keep(known: dict[bytes, Any], key: bytes, value: Any) -> None:
    known[key] = value
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]


class FollowingEngine(Protocol):
    """The engine that follows, wherever it is: an `EngineFollower`, or the one in a process of its own."""

    async def head(self) -> BlockId: ...

    async def has(self, block_hash: Hash32) -> bool: ...

    async def follow(self, question: Question, expected: Expectation) -> Followed: ...


@attrs.frozen
class RemoteFollower:
    """The engine that follows, in its process."""

    child: ChildProcess

    async def head(self) -> BlockId:
        found: BlockId = await self.child.call("head")
        return found

    async def has(self, block_hash: Hash32) -> bool:
        found: bool = await self.child.call("has", block_hash)
        return found

    async def follow(self, question: Question, expected: Expectation) -> Followed:
        found: Followed = await self.child.call("follow", question, expected)
        return found

    async def ask(self, question: Question) -> EngineAnswer | None:
        """What the engine gives, without a comparison; None where it lacks the parent."""
        found: EngineAnswer | None = await self.child.call("ask", question)
        return found


@attrs.define(kw_only=True)
class EngineComparison:
    """Compares one engine that follows with the leading one; reads from the leading one, and never writes to it."""

    leading: ExecutionEngine
    follower: FollowingEngine
    config: ChainConfig
    leader_version: PartVersion
    follower_version: PartVersion
    clock: Callable[[], float] = trio.current_time

    async def compare(self, step: EngineStep) -> Outcome:
        """The same question to the follower, and what became of it."""
        try:
            expected, answer = await self._leading_answer(step)
        except NotFound as error:
            return Unanswered(cursor=await self._cursor(step), reason=str(error))
        match await self.follower.follow(step.question, expected):
            case Lacks():
                return await self._catch_up(step)
            case Other(answer=other):
                return await self._differs(step.question, await self._cursor(step), answer, other)
            case _:
                return Agreed(cursor=await self._cursor(step))

    async def _leading_answer(self, step: EngineStep) -> tuple[Expectation, EngineAnswer]:
        if step.made is None:
            return Expectation(hash=None), Refused(step.refused)
        receipts = await self.leading.receipts(step.made.hash)
        root = await passer_root(self.leading, step.made, self.config)
        expected = Expectation(hash=step.made.hash, receipts_digest=digest_of(receipts), passer_root=root)
        return expected, Made(payload=step.made, receipts=receipts, passer_root=root)

    async def _cursor(self, step: EngineStep) -> Cursor:
        if step.made is not None:
            return Cursor(place=Place.L2_BLOCK, number=step.made.number, hash=step.made.hash)
        if step.question.payload is not None:
            return Cursor(place=Place.L2_BLOCK, number=step.question.payload.number, hash=step.question.payload.hash)
        try:
            number = (await self.leading.block(step.question.parent)).number + 1
        except NotFound:
            number = L2Number(0)
        return Cursor(place=Place.L2_BLOCK, number=number, hash=step.question.parent)

    async def _catch_up(self, step: EngineStep) -> Outcome:
        """Execute what comes before, for a while; then the step is tried again."""
        cursor = await self._cursor(step)
        missing: list[Payload] = []
        try:
            wanted = await self.leading.block(step.question.parent)
            while not await self.follower.has(wanted.hash):
                missing.append(wanted)
                if wanted.number <= self.config.rollup.genesis.l2.number:
                    raise CriticalError(f"it begins with another block than {wanted.id}: it is another chain's")
                if len(missing) > _BRANCH:
                    return await self._catch_up_far(cursor, wanted)
                wanted = await self.leading.block(wanted.parent_hash)
        except NotFound as error:
            return Unanswered(cursor=cursor, reason=str(error))
        for payload in reversed(missing):
            outcome = await self._execute(payload)
            if outcome is not None:
                return outcome
        if not missing:  # it has the parent, and yet says that it cannot build there
            return Behind(cursor=cursor, reason="the engine is still syncing")
        return Behind(cursor=cursor, reason=_executing(missing[-1], cursor), delay=0)

    async def _catch_up_far(self, cursor: Cursor, towards: Payload) -> Outcome:
        """Execute blocks of the leading engine's canonical chain, from the newest that both have."""
        common = await self._newest_common(towards.number)
        number, begun = common + 1, self.clock()
        first = None
        while number < towards.number and self.clock() - begun < _SLICE:
            payload = await self.leading.block(L2Number(number))
            first = first or payload
            outcome = await self._execute(payload)
            if outcome is not None:
                return outcome
            number += 1
        return Behind(cursor=cursor, reason=_executing(first or towards, cursor), delay=0)

    async def _newest_common(self, below: int) -> int:
        """Number of the newest block of the leading engine's canonical chain that the follower has."""
        low, high = self.config.rollup.genesis.l2.number, min((await self.follower.head()).number, below)
        genesis = await self.leading.block(L2Number(low))
        if not await self.follower.has(genesis.hash):
            raise CriticalError(f"it does not have block {genesis.id}: it is another chain's")
        if high > low and await self.follower.has((await self.leading.block(L2Number(high))).hash):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            if await self.follower.has((await self.leading.block(L2Number(middle))).hash):
                low = middle
            else:
                high = middle
        return low

    async def _execute(self, payload: Payload) -> Outcome | None:
        """Have the follower execute a block of the leading engine; None where it agrees that it is one."""
        question = question_of(payload, self.config)
        cursor = Cursor(place=Place.L2_BLOCK, number=payload.number, hash=payload.hash)
        match await self.follower.follow(question, Expectation(hash=payload.hash)):
            case Lacks():
                return Behind(cursor=cursor, reason="the engine is still syncing")
            case Other(answer=other):
                step = EngineStep(question=question, made=payload)
                _, answer = await self._leading_answer(step)
                return await self._differs(question, cursor, answer, other)
            case _:
                return None

    async def _differs(self, question: Question, cursor: Cursor, answer: EngineAnswer, other: EngineAnswer) -> Differs:
        divergence = Divergence(
            role=Role.ENGINE,
            leader=self.leader_version,
            follower=self.follower_version,
            cursor=cursor,
            differences=tuple(answer_differences(answer, other, self.config)),
            inputs=await engine_inputs(self.leading, question, self.config),
            leader_output=answer_json(answer, self.config),
            follower_output=answer_json(other, self.config),
        )
        made = answer.payload.hash if isinstance(answer, Made) else None
        same_block = isinstance(other, Made) and other.payload.hash == made
        return Differs(divergence=divergence, parted=made is not None and not same_block)


def _executing(first: Payload, cursor: Cursor) -> str:
    return f"it executes the leading engine's blocks, from L2 block {first.number} on, towards {cursor.number}"


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
    host = EngineFollowerHost(layers=layers_of(part), chain=leading.chain)
    async with started(host, name, leading.told_by(name)) as child:
        yield EngineComparison(
            leading=leading.open_part,
            follower=RemoteFollower(child),
            config=leading.chain,
            leader_version=leading.version,
            follower_version=version_of(part),
        )
