"""What follows from agreement and divergence: the bundle, the event, and the policy."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
import trio

from kroma_core.errors import CriticalError, KromaError
from kroma_core.events import Diverged, Event, Outvoted
from kroma_core.node.shadow.bundle import BundleWriter
from kroma_core.node.shadow.divergence import Cursor, Divergence, PartVersion, fingerprint
from kroma_core.node.shadow.table import ShadowPolicy

_SHORT: Final = 24
REMEMBERED: Final = 1024
"""Places of each follower that are kept for a vote: one that is further ahead than this has no voice."""

_ABSTAINED: Final = ""
"""In the place of an answer."""


class DivergenceHalt(CriticalError):
    """A divergence ends the node, as its policy says."""


@attrs.define
class _Seat:
    """What one follower has said. None: it agreed; otherwise the fingerprint of what it gave, if anything."""

    said: dict[Cursor, str | None] = attrs.field(factory=dict)
    order: deque[Cursor] = attrs.field(factory=deque)
    present: bool = True

    def say(self, cursor: Cursor, answer: str | None) -> None:
        if cursor not in self.said:
            self.order.append(cursor)
        self.said[cursor] = answer
        while len(self.order) > REMEMBERED:
            del self.said[self.order.popleft()]


@attrs.define(kw_only=True)
class Panel:
    """The followers of one leading part, as far as they have a say. `leader_name` is how messages call it."""

    policy: ShadowPolicy
    leader_name: str
    leader: PartVersion
    bundles: BundleWriter
    emit: Callable[[Event], None]
    aside: Callable[[Callable[[Divergence], Path], Divergence], Awaitable[Path]] = trio.to_thread.run_sync
    """Where a bundle is written, which may take a second; tests, whose clock is not the world's, have no thread."""
    _seats: dict[str, _Seat] = attrs.field(factory=dict, init=False)
    _open: dict[Cursor, dict[str, str]] = attrs.field(factory=dict, init=False)
    """Divergences that a majority has not decided yet: by follower, what is to be said where the leading part loses."""

    def join(self, follower: str) -> None:
        """A follower that will be asked from now on (again)."""
        self._seats.setdefault(follower, _Seat()).present = True

    def leave(self, follower: str) -> None:
        """A follower that is asked no more for now. Raises `DivergenceHalt` where a vote waited for it alone."""
        self._seats[follower].present = False
        self._decide_all()

    def agreed(self, follower: str, cursor: Cursor) -> None:
        """Take note. Raises `DivergenceHalt` where that decides a vote against the leading part."""
        self._seats[follower].say(cursor, None)
        if cursor in self._open:
            self._decide_all()

    def unanswered(self, follower: str, cursor: Cursor) -> None:
        """A follower that has no answer at this place. Raises `DivergenceHalt` where a vote waited for it alone."""
        self._seats[follower].say(cursor, _ABSTAINED)
        if cursor in self._open:
            self._decide_all()

    async def diverged(self, follower: str, divergence: Divergence) -> None:
        """Keep the divergence in a bundle, tell observers. Raises `DivergenceHalt` where the node is to end."""
        cursor = divergence.cursor
        try:
            bundle = str(await self.aside(self.bundles.write, divergence))
        except KromaError as error:  # it is told all the same
            bundle = f"missing: {error}"
        self._seats[follower].say(cursor, fingerprint(divergence.follower_output))
        text = (
            f"{self.leader_name} and {follower} differ at {cursor}: "
            f"{'; '.join(_short(divergence)) or 'in more than can be shown'}; the bundle is {bundle}"
        )
        verdict = "the node ends (policy halt)"
        if self.policy is ShadowPolicy.REPORT:
            verdict = "the node goes on with the leading part (policy report)"
        elif self.policy is ShadowPolicy.MAJORITY:
            self._open.setdefault(cursor, {})[follower] = text
            verdict = self._standing(cursor)
        self.emit(
            Diverged(
                leader=self.leader_name,
                part=follower,
                at=str(cursor),
                fields=tuple(_short(divergence)),
                bundle=bundle,
                verdict=verdict,
            )
        )
        if self.policy is ShadowPolicy.HALT:
            raise DivergenceHalt(text)
        self._decide_all()

    def _decide_all(self) -> None:
        for cursor, texts in tuple(self._open.items()):
            with_leader, against, silent = self._votes(cursor)
            if with_leader > against + silent:
                del self._open[cursor]
                for follower in texts:
                    standing = self._standing(cursor)
                    self.emit(Outvoted(leader=self.leader_name, part=follower, at=str(cursor), verdict=standing))
            elif not silent or with_leader + silent <= against:
                del self._open[cursor]
                raise DivergenceHalt(f"{'; '.join(texts.values())}; {self._standing(cursor)}")

    def _votes(self, cursor: Cursor) -> tuple[int, int, int]:
        """How many parts say what the leading one says (itself included), how many do not, and who is still to say."""
        said = [seat.said[cursor] for seat in self._seats.values() if cursor in seat.said]
        answers = [each for each in said if each != _ABSTAINED]
        silent = sum(seat.present and cursor not in seat.said for seat in self._seats.values())
        agreeing = 1 + sum(answer is None for answer in answers)
        return agreeing, len(answers) + 1 - agreeing, silent

    def _standing(self, cursor: Cursor) -> str:
        with_leader, against, silent = self._votes(cursor)
        waiting = f", {silent} still to be heard" if silent else ""
        votes = f"{with_leader} of {with_leader + against + silent} parts say what {self.leader_name} says{waiting}"
        if with_leader > against + silent:
            return f"{votes}: the node goes on (policy majority)"
        if not silent or with_leader + silent <= against:
            return f"{votes}: the node ends (policy majority)"
        return f"{votes} (policy majority)"


def _short(divergence: Divergence) -> Iterator[str]:
    """The differences, as many as a line can hold: values only where they are short."""
    for one in divergence.differences[:12]:
        values = f": {one.expected}, {one.got}" if max(len(one.expected), len(one.got)) <= _SHORT else ""
        yield f"{one.field}{values}"
