"""A part that follows: its queue, and the task that opens it, compares step by step, and meets every failure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, Protocol, TypeVar

import attrs
import trio

from kroma_core.events import Event, FollowerAgreed, FollowerAttached, FollowerBehind, FollowerDetached
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.shadow.divergence import Agreed, Behind, Differs, Outcome, Unanswered
from kroma_core.node.shadow.panel import DivergenceHalt, Panel

GATHERED: Final = 64
"""Steps in a row without an answer that are told as one."""

FAILURES: Final = 3
"""How often a part may fail at one step before that is left out."""

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Comparison(Protocol[S_contra]):
    """An open follower's part, and how what it gives is compared with the leading part's."""

    async def compare(self, step: S_contra) -> Outcome:
        """Ask the part what the leading one was asked. Whatever is raised detaches the follower."""
        ...


@attrs.frozen(kw_only=True)
class FollowerLimits:
    """`queue`: steps that may wait. `seconds`: how long one step may take before the part is taken to hang."""

    queue: int = 256
    seconds: float = 60.0


@attrs.define(kw_only=True)
class Follower(Generic[S]):
    """One following part. `open` yields its comparison; it may raise anything, and is called again after a failure.

    The leading part is never held up: `offer` puts a step into the queue, and where there is no room all that wait are
    given up, with an event, and the follower goes on with the newest.
    """

    name: str
    open: Callable[[], AbstractAsyncContextManager[Comparison[S]]]
    panel: Panel
    emit: Callable[[Event], None]
    limits: FollowerLimits = FollowerLimits()
    policy: RetryPolicy = RetryPolicy(first=1.0, longest=60.0)
    _queue: deque[S] = attrs.field(factory=deque, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _compared: int = attrs.field(default=0, init=False)
    _at: str = attrs.field(default="the beginning", init=False)
    _attached: bool = attrs.field(default=False, init=False)
    _given_up: bool = attrs.field(default=False, init=False)
    """It is not opened again."""
    _behind: bool = attrs.field(default=False, init=False)
    _trials: int = attrs.field(default=0, init=False)
    """How often it was opened without a comparison in between."""
    _failed_at: S | None = attrs.field(default=None, init=False)
    """The step at which it failed last, and how often by now."""
    _failures: int = attrs.field(default=0, init=False)
    _unanswered: int = attrs.field(default=0, init=False)
    """Steps that it had no answer to, as far as they have not been told."""
    _lacking: bool = attrs.field(default=False, init=False)
    """Whether it had none to the last step."""
    _lacks: str = attrs.field(default="", init=False)

    @property
    def waiting(self) -> int:
        """Steps that wait, the one that is being compared included."""
        return len(self._queue)

    def steps(self) -> Sequence[S]:
        """The steps that wait, the one that is being compared first."""
        return tuple(self._queue)

    def offer(self, step: S) -> None:
        """Hand over a step of the leading part. Never waits; a follower that has been given up gets none."""
        if self._given_up:
            return
        if len(self._queue) >= self.limits.queue:
            dropped = len(self._queue)
            self._queue.clear()
            reason = f"more than {self.limits.queue} steps wait"
            self._tell_behind(reason, dropped)
        self._queue.append(step)
        self._wake()

    async def settled(self) -> None:
        """Wait until nothing waits any more, or nothing comes of waiting: the part failed, has parted, or is behind."""
        while self._queue and not self._given_up and not self._behind and (self._attached or self._trials == 0):
            await self._changed.wait()

    async def run(self) -> None:
        """Follow until cancelled, or until the part has parted for good. Raises `DivergenceHalt` alone."""
        self.panel.join(self.name)
        while not self._given_up:
            halt: DivergenceHalt | None = None
            reason = ""
            with trio.CancelScope() as watched:
                watched.deadline = trio.current_time() + self.limits.seconds
                try:
                    async with self.open() as comparison:
                        halt = await self._follow(comparison, watched)
                except Exception as error:  # border: shadow task
                    reason = f"{type(error).__name__}: {error}"
            if watched.cancelled_caught:
                reason = f"no answer within {self.limits.seconds:g} s"
            if halt is not None:
                raise halt
            if not self._given_up:
                self._note_failure()
                await self._pause(reason)

    async def _follow(self, comparison: Comparison[S], watched: trio.CancelScope) -> DivergenceHalt | None:
        """Compare until the part has parted, or the node is to end, which is the error that is returned."""
        watched.deadline = math.inf
        self._attached = True
        self.panel.join(self.name)
        self.emit(FollowerAttached(part=self.name))
        self._wake()
        told_behind = False
        while True:
            while not self._queue:
                await self._changed.wait()
            step = self._queue[0]
            watched.deadline = trio.current_time() + self.limits.seconds
            outcome = await comparison.compare(step)
            watched.deadline = math.inf
            self._trials = 0
            if isinstance(outcome, Behind):
                if not told_behind:
                    self._tell_behind(outcome.reason, 0)
                told_behind = True
                self._behind = outcome.delay > 0
                self._wake()
                await trio.sleep(outcome.delay)
                continue
            self._behind = told_behind = False
            try:
                parted = await self._judge(outcome)
            except DivergenceHalt as halt:
                self._give_up()
                return halt
            if self._queue and self._queue[0] is step:  # an overflow may have taken it
                self._queue.popleft()
            self._wake()
            if parted:
                return None

    async def _judge(self, outcome: Agreed | Differs | Unanswered) -> bool:
        """Tell the panel; whether the part has parted."""
        if isinstance(outcome, Unanswered):
            self.panel.unanswered(self.name, outcome.cursor)
            self._note_unanswered(outcome.reason)
            return False
        self._tell_unanswered()
        self._compared += 1
        if isinstance(outcome, Agreed):
            self._at = str(outcome.cursor)
            self.panel.agreed(self.name, outcome.cursor)
            waiting = max(self.waiting - 1, 0)
            self.emit(FollowerAgreed(part=self.name, at=self._at, compared=self._compared, waiting=waiting))
            return False
        await self.panel.diverged(self.name, outcome.divergence)
        if outcome.parted:
            self._give_up()
            reason = f"it has parted from the leading part at {outcome.divergence.cursor}"
            self.emit(FollowerDetached(part=self.name, reason=reason, delay=None))
            self.panel.leave(self.name)
        return outcome.parted

    def _note_failure(self) -> None:
        """A step at which an open part fails again and again is left out: others may go well."""
        if not self._attached or not self._queue:
            return
        step = self._queue[0]
        self._failures = self._failures + 1 if step is self._failed_at else 1
        self._failed_at = step
        if self._failures >= FAILURES:
            self._queue.popleft()
            self._failed_at = None
            self._tell_behind(f"it failed {FAILURES} times at one step", 1)

    async def _pause(self, reason: str) -> None:
        """Detach, and wait longer from time to time."""
        self._attached = self._behind = False
        self._trials += 1
        delay = self.policy.delay(self._trials)
        self.emit(FollowerDetached(part=self.name, reason=reason, delay=delay))
        self._wake()
        self.panel.leave(self.name)
        await trio.sleep(delay)

    def _give_up(self) -> None:
        self._given_up = True
        self._attached = False
        self._queue.clear()
        self._wake()

    def _note_unanswered(self, reason: str) -> None:
        """Tell the first of several in a row at once, and the others together: a source may lack very much."""
        if not reason:
            return
        self._unanswered += 1
        self._lacks = reason
        if not self._lacking or self._unanswered >= GATHERED:
            self._tell_unanswered()
        self._lacking = True

    def _tell_unanswered(self) -> None:
        if self._unanswered:
            self._tell_behind(self._lacks, self._unanswered)
        self._unanswered, self._lacking = 0, False

    def _tell_behind(self, reason: str, dropped: int) -> None:
        self.emit(FollowerBehind(part=self.name, at=self._at, waiting=self.waiting, dropped=dropped, reason=reason))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
