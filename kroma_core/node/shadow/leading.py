"""What a role is given to put followers into the shadow of a part, and how their tasks run beside the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import attrs

from kroma_core.api import Clock
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event
from kroma_core.node.plan import PlannedPart
from kroma_core.node.registry import InstalledOffer
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.node.shadow.follower import Comparison, Follower, FollowerLimits
from kroma_core.node.shadow.panel import Panel
from kroma_core.node.tasks import task_group

S = TypeVar("S")


def version_of(part: PlannedPart | InstalledOffer) -> PartVersion:
    """A planned part, or an installed offer, as a divergence names it."""
    installed = part.installed if isinstance(part, PlannedPart) else part
    return PartVersion(kind=installed.offer.kind, distribution=installed.distribution, version=installed.version)


@attrs.frozen(kw_only=True)
class Leading:
    """A leading part that is open, and what its followers are made with.

    `part.shadows` are the planned followers. `opened` opens one of them in this process, with the roles that it
    requires (the leading ones); an engine is opened in a process of its own. `followers` collects what `follower` made.
    """

    part: PlannedPart
    open_part: Any
    chain: ChainConfig
    panel: Panel
    limits: FollowerLimits
    opened: Callable[[PlannedPart], AbstractAsyncContextManager[Any]]
    clock: Clock
    emit: Callable[[Event], None]
    followers: list[Follower[Any]]

    @property
    def version(self) -> PartVersion:
        """The leading part."""
        return version_of(self.part)

    def follower(
        self, part: PlannedPart, open: Callable[[], AbstractAsyncContextManager[Comparison[S]]]
    ) -> Follower[S]:
        """A follower whose task will run beside the node; `open` opens its part and yields how it is compared."""
        made = Follower(
            name=follower_name(self.part, part),
            open=open,
            panel=self.panel,
            emit=self.emit,
            limits=self.limits,
        )
        self.followers.append(made)
        return made


def follower_name(leader: PlannedPart, part: PlannedPart) -> str:
    """How messages call a follower: role, place in the profile, kind."""
    place = leader.shadows.index(part) + 1
    return f"{leader.role} shadow {place} {part.installed.offer.kind!r} ({part.installed.source})"


@asynccontextmanager
async def following(followers: list[Follower[Any]]) -> AsyncIterator[None]:
    """Run the tasks of followers beside the block. Where the block ends by itself, they finish what waits first.

    Raises `DivergenceHalt` where a divergence ends the node; the block is cancelled then.
    """
    async with task_group() as nursery:
        for follower in followers:
            nursery.start_soon(follower.run)
        yield
        for follower in followers:
            await follower.settled()
        nursery.cancel_scope.cancel()
