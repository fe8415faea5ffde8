"""A source that follows is asked what the leading one was asked; what it does not have it may have later, or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

import attrs
import trio

from kroma_core.api.roles import Role
from kroma_core.errors import NotFound, ResetError, TemporaryError
from kroma_core.node.shadow.divergence import (
    Agreed,
    Behind,
    Cursor,
    Differs,
    Divergence,
    Outcome,
    PartVersion,
    Unanswered,
)
from kroma_core.recording.compare import Difference

SLICE: Final = 0.5
"""Seconds after which several steps are no longer compared in one go."""
TRIALS: Final = 3
"""How often a follower is asked for what it says it lacks, before the step is given up; a second apart, then two ..."""


class Exchange(Protocol):
    """A question to the leading source, with its answer."""

    @property
    def cursor(self) -> Cursor: ...

    @property
    def answer(self) -> Any: ...

    async def asked_of(self, follower: Any) -> Any:
        """What a follower answers to the same question. Raises `NotFound` or `ResetError` where it lacks something."""
        ...

    def differences(self, answer: Any) -> Iterator[Difference]: ...

    def inputs(self) -> dict[str, Any]:
        """The question, as a bundle holds it."""
        ...

    def told(self, answer: Any) -> dict[str, Any]:
        """An answer, as a bundle holds it."""
        ...


Tell: TypeAlias = Callable[[str], None]
"""Tells an operator something about a follower."""


@attrs.frozen(kw_only=True)
class SourceFollowing:
    """Who is compared with whom. `live`: the heads that the follower shows, if it does, are those of now."""

    leader: PartVersion
    follower: PartVersion
    live: bool = True


@attrs.define(kw_only=True)
class SourceComparison:
    """Compares what one follower, `part`, answers. What it raises is raised, unless it says that it lacks something."""

    role: Role
    part: Any
    following: SourceFollowing

    async def compare(self, step: Exchange) -> Outcome:
        """Ask the same. What is lacking is asked for again, and so is what gets no answer; that is raised at last."""
        for trial in range(1, TRIALS + 1):
            try:
                answer = await step.asked_of(self.part)
            except TemporaryError:
                if trial == TRIALS:
                    raise
            except (NotFound, ResetError) as error:
                if await self.is_behind(step):
                    return Behind(cursor=step.cursor, reason=str(error))
                if trial == TRIALS or not self.may_come(step):
                    return Unanswered(cursor=step.cursor, reason=str(error))
            else:
                break
            await trio.sleep(1 << (trial - 1))
        found = tuple(step.differences(answer))
        if not found:
            return Agreed(cursor=step.cursor)
        return Differs(
            divergence=Divergence(
                role=self.role,
                leader=self.following.leader,
                follower=self.following.follower,
                cursor=step.cursor,
                differences=found,
                inputs=step.inputs(),
                leader_output=step.told(step.answer),
                follower_output=step.told(answer),
            )
        )

    async def compare_all(self, steps: Sequence[Exchange]) -> list[Outcome]:
        """The outcomes of the first of `steps`: up to one that is not agreement, or fails, or until `SLICE` is over.

        Raises what the first step raises.
        """
        outcomes: list[Outcome] = []
        end = trio.current_time() + SLICE
        for step in steps:
            try:
                outcomes.append(await self.compare(step))
            except Exception:
                if outcomes:
                    return outcomes  # it comes first the next time
                raise
            if not isinstance(outcomes[-1], Agreed) or trio.current_time() > end:
                break
        return outcomes

    async def is_behind(self, step: Exchange) -> bool:
        """Whether the follower will have what it lacks once it has come as far as the leader."""
        return False

    def may_come(self, step: Exchange) -> bool:
        """Whether it is worth asking again for what is lacking."""
        return True


Compares: TypeAlias = Callable[[SourceFollowing, Any, Tell], SourceComparison]
"""Makes what compares the answers of an open source."""
