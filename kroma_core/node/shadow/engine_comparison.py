"""How an engine that follows is compared with the leading one, block by block, and how it comes to that one's head."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import attrs
import trio

from kroma_core.api import ExecutionEngine, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import CriticalError, NotFound
from kroma_core.l2 import Payload
from kroma_core.node.isolation.process import ChildProcess
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
    EngineStep,
    Expectation,
    Made,
    Question,
    Refused,
    answer_differences,
    answer_json,
    digest_of,
    question_of,
)
from kroma_core.node.shadow.engine_bundle import engine_inputs
from kroma_core.node.shadow.engine_follower import Followed, Lacks, Other, Same, passer_root
from kroma_core.types import BlockId, Hash32, L2Number

_BRANCH: Final = 64
"""Blocks that a follower may lack on any branch; of more, those on the leading engine's canonical chain come first."""
_GATHER: Final = 0.05
"""Seconds in which more steps may come, to be asked together."""
_TOGETHER: Final = 64
_SLICE: Final = 0.5
"""Seconds of catching up after which a follower says that it is alive."""


class FollowingEngine(Protocol):
    """The engine that follows, wherever it is: an `EngineFollower`, or the one in a process of its own."""

    async def head(self) -> BlockId: ...

    async def has(self, block_hash: Hash32) -> bool: ...

    async def follow(self, question: Question, expected: Expectation) -> Followed: ...

    async def follow_all(self, asked: Sequence[tuple[Question, Expectation]]) -> Sequence[Followed]: ...


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

    async def follow_all(self, asked: Sequence[tuple[Question, Expectation]]) -> Sequence[Followed]:
        found: Sequence[Followed] = await self.child.call("follow_all", asked)
        return found

    async def ask(self, question: Question) -> EngineAnswer | None:
        """What the engine gives, without a comparison; None where it lacks the parent."""
        found: EngineAnswer | None = await self.child.call("ask", question)
        return found


@attrs.define(kw_only=True)
class EngineComparison:
    """Compares one engine that follows with the leading one; reads from the leading one, and never writes to it.

    `waiting` are the steps to come, the one that is to be compared first: what comes within a moment is asked together,
    which costs the leading engine's process a third of what single questions do.
    """

    leading: ExecutionEngine
    follower: FollowingEngine
    config: ChainConfig
    leader_version: PartVersion
    follower_version: PartVersion
    waiting: Callable[[], Iterable[EngineStep]] = tuple
    clock: Callable[[], float] = trio.current_time
    _told: deque[tuple[EngineStep, Followed]] = attrs.field(factory=deque, init=False)
    """Steps that were asked together with one before them, and what came of each."""

    async def compare(self, step: EngineStep) -> Outcome:
        """The same question to the follower, and what became of it."""
        if not (self._told and self._told[0][0] is step):
            self._told.clear()
            await trio.sleep(_GATHER)
            self._told.extend(await self._asked_together(step))
        if self._told:
            _, followed = self._told.popleft()
            if isinstance(followed, Same):
                return Agreed(cursor=await self._cursor(step))
        else:
            followed = None
        try:
            expected, answer = await self._leading_answer(step)
        except NotFound as error:
            return Unanswered(cursor=await self._cursor(step), reason=str(error))
        match followed or await self.follower.follow(step.question, expected):
            case Lacks():
                return await self._catch_up(step)
            case Other(answer=other):
                return await self._differs(step.question, await self._cursor(step), answer, other)
            case _:
                return Agreed(cursor=await self._cursor(step))

    async def _asked_together(self, step: EngineStep) -> Sequence[tuple[EngineStep, Followed]]:
        """This step and those after it, with what the follower says to each; nothing where there is one alone."""
        steps, asked = [], []
        for one in itertools.islice(self.waiting(), _TOGETHER):
            try:
                expected, _ = await self._leading_answer(one)
            except NotFound:
                break
            steps.append(one)
            asked.append((one.question, expected))
        if len(steps) < 2 or steps[0] is not step:
            return ()
        return tuple(zip(steps, await self.follower.follow_all(asked), strict=False))

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
        while number <= towards.number and self.clock() - begun < _SLICE:
            payload = await self.leading.block(L2Number(number))
            first = first or payload
            outcome = await self._execute(payload)
            if outcome is not None:
                return outcome
            number += 1
        return Behind(cursor=cursor, reason=_executing(first or towards, cursor), delay=0 if first else 1.0)

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
