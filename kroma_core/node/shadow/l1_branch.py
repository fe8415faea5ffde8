"""An L1 source that follows: compared by hash, and watched for where it stands, which is no divergence."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from kroma_core.api import L1Source, Role
from kroma_core.errors import NotFound
from kroma_core.l1 import L1Label
from kroma_core.node.shadow.divergence import Agreed, Differs, Outcome, Unanswered
from kroma_core.node.shadow.l1_exchange import CanonicalExchange
from kroma_core.node.shadow.source_comparison import Exchange, SourceComparison, SourceFollowing, Tell

BRANCH_SECONDS: Final = 60.0
"""For how long an L1 source may see another branch than the leading one before it is told: five slots of mainnet."""


@attrs.define(kw_only=True)
class L1Comparison(SourceComparison):
    """Compares what an L1 source answers for a hash.

    It may be behind, or on another branch for a while; `tell` is told once that has lasted, and once it is over.
    """

    tell: Tell
    _elsewhere: float | None = attrs.field(default=None, init=False)
    """Since when the follower has been on another branch; None while it is on the leading one's."""
    _told: bool = attrs.field(default=False, init=False)

    async def compare(self, step: Exchange) -> Outcome:
        """See `SourceComparison`. Another canonical block is not a divergence: each may be right in its time."""
        outcome = await super().compare(step)
        if not isinstance(step, CanonicalExchange):
            return outcome
        if isinstance(outcome, Agreed):
            self._back(step)
        elif isinstance(outcome, Differs):
            [found] = outcome.divergence.differences
            reason = f"it is on another branch: L1 block {step.answer.number} is {found.got}, not {found.expected}"
            self._away(reason)
            return Unanswered(cursor=step.cursor, reason="")
        return outcome

    async def is_behind(self, step: Exchange) -> bool:
        if not self.following.live:
            return False
        try:
            head = await self.part.head(L1Label.UNSAFE)
        except NotFound:
            return True
        return bool(head.number < step.cursor.number)

    def may_come(self, step: Exchange) -> bool:
        return self.following.live and self._elsewhere is None

    def _away(self, reason: str) -> None:
        now = trio.current_time()
        if self._elsewhere is None:
            self._elsewhere = now
        elif now - self._elsewhere >= BRANCH_SECONDS and not self._told:
            self._told = True
            self.tell(f"for {now - self._elsewhere:.0f} s, {reason}")

    def _back(self, step: CanonicalExchange) -> None:
        if self._told:
            self.tell(f"it is on the leading one's branch again, at L1 block {step.answer}")
        self._elsewhere, self._told = None, False


def compares_l1(following: SourceFollowing, source: L1Source, tell: Tell) -> SourceComparison:
    """What compares the answers of an open L1 source."""
    return L1Comparison(role=Role.L1, part=source, following=following, tell=tell)
