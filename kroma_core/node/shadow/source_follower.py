"""How an L1, blob or data source that follows is opened: in a process of its own where it can be.

What a source of L1 blocks or blobs does is mostly checking hashes, as much work as the leading one has with them. In
the node's own process that would delay the node.
"""

from __future__ import annotations

import functools
import os
import pickle
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from kroma_core.api import Capability, PluginContext
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, Warned
from kroma_core.node.isolation.hosts import Part
from kroma_core.node.isolation.process import ChildProcess, started
from kroma_core.node.plan import PlannedPart
from kroma_core.node.shadow.divergence import Outcome
from kroma_core.node.shadow.engine_follower import NICENESS
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import Leading, follower_name, version_of
from kroma_core.node.shadow.source_comparison import Compares, Exchange, SourceComparison, SourceFollowing, Tell

TOGETHER: Final = 8
"""Steps that cross to another process at once, at most: so many may hold a megabyte each."""
GATHERING: Final = 0.25
"""Seconds for which a step waits for others to cross with it."""


@attrs.frozen(kw_only=True)
class SourceFollowerHost:
    """A source that follows and what compares it, for a process of their own. Both functions cross by name."""

    name: str
    open: Callable[..., AbstractAsyncContextManager[Any]]
    settings: Any
    chain: ChainConfig
    data_dir: Path
    following: SourceFollowing
    compares: Compares

    @asynccontextmanager
    async def opened(self, emit: Callable[[Event], None]) -> AsyncIterator[Part]:
        os.nice(NICENESS)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        context = PluginContext(chain=self.chain, data_dir=self.data_dir, clock=time.time, emit=emit)
        async with self.open(self.settings, context) as source:
            yield Part(
                self.compares(self.following, source, telling(self.name, emit)), queries=frozenset({"compare_all"})
            )

    @property
    def crosses(self) -> bool:
        """Whether another process can be told to open it: not with an `open` that has no name in a module."""
        try:
            pickle.dumps((self.open, self.settings, self.compares))
        except (pickle.PicklingError, AttributeError, TypeError):
            return False
        return True


@attrs.define
class RemoteComparison:
    """What compares in another process. Steps that come shortly after one another cross together.

    `waiting` tells which steps wait, the one that is compared first.
    """

    _process: ChildProcess
    _waiting: Callable[[], Sequence[Exchange]]
    _outcomes: deque[tuple[Exchange, Outcome]] = attrs.field(factory=deque, init=False)
    """Of steps that have not been asked for."""

    async def compare(self, step: Exchange) -> Outcome:
        if not self._outcomes or self._outcomes[0][0] is not step:
            if len(self._waiting()) < TOGETHER:
                await trio.sleep(GATHERING)
            waiting = list(self._waiting()[:TOGETHER])
            steps = waiting if waiting and waiting[0] is step else [step]
            outcomes: list[Outcome] = await self._process.call("compare_all", steps)
            self._outcomes = deque(zip(steps, outcomes, strict=False))
        return self._outcomes.popleft()[1]


@asynccontextmanager
async def compared(
    leading: Leading, part: PlannedPart, compares: Compares, waiting: Callable[[], Sequence[Exchange]]
) -> AsyncIterator[SourceComparison | RemoteComparison]:
    """A follower's part, open, with what compares it: in this process where it requires other parts."""
    offer, name = part.installed.offer, follower_name(leading.part, part)
    following = SourceFollowing(
        leader=leading.version,
        follower=version_of(part),
        live=follows_live(part),
    )
    host = SourceFollowerHost(
        name=name,
        open=offer.open,
        settings=part.settings,
        chain=leading.chain,
        data_dir=part.data_dir,
        following=following,
        compares=compares,
    )
    if offer.requires or not host.crosses:
        async with leading.opened(part) as source:
            yield compares(following, source, telling(name, leading.emit))
    else:
        async with started(host, name, leading.told_by(name)) as process:
            yield RemoteComparison(process, waiting)


def source_follower(leading: Leading, part: PlannedPart, compares: Compares) -> Follower[Exchange]:
    """A follower whose task will run beside the node."""

    def waiting() -> Sequence[Exchange]:
        return follower.steps()

    follower: Follower[Exchange] = leading.follower(part, functools.partial(compared, leading, part, compares, waiting))
    return follower


def follows_live(part: PlannedPart) -> bool:
    """Whether the heads that a source shows are those of now; a recorded timeline has its own time."""
    return Capability.TIMELINE not in part.installed.capabilities


def telling(name: str, emit: Callable[[Event], None]) -> Tell:
    """Tells an operator something of a follower."""
    return lambda text: emit(Warned(part=name, warning=text))
