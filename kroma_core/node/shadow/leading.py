"""What a role is given to put followers into the shadow of a part, and how their tasks run beside the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import attrs

from kroma_core.api import Clock
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, Warned
from kroma_core.node.chain_choice import files_of_table
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.node.profile import ChainTable
from kroma_core.node.registry import InstalledOffer
from kroma_core.node.rpc.versions import software
from kroma_core.node.shadow.bundle import BundleWriter
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.node.shadow.follower import Comparison, Follower, FollowerLimits
from kroma_core.node.shadow.panel import Panel
from kroma_core.node.shadow.planning import DIVERGENCES
from kroma_core.node.shadow.recent_blobs import RecentBlobs
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
    blobs: RecentBlobs = attrs.field(factory=RecentBlobs)
    """Those that the leading blob sources gave last."""

    @property
    def version(self) -> PartVersion:
        """The leading part."""
        return version_of(self.part)

    def told_by(self, name: str) -> Callable[[Event], None]:
        """What a follower's part may tell observers: warnings. Its requests and retries are not the node's trouble."""

        def emit(event: Event) -> None:
            if isinstance(event, Warned):
                self.emit(Warned(part=name, warning=event.warning))

        return emit

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
    """How messages call a follower: role, place in the profile, kind; `blobs 2 shadow 1` follows the second table."""
    place = leader.shadows.index(part) + 1
    at = leader.table.at or ()
    number = f" {at[1] + 1}" if len(at) > 1 and isinstance(at[1], int) and at[1] > 0 else ""
    return f"{leader.role}{number} shadow {place} {part.installed.offer.kind!r} ({part.installed.source})"


def leading_of(
    plan: Plan,
    part: PlannedPart,
    open_part: Any,
    opened: Callable[[PlannedPart], AbstractAsyncContextManager[Any]],
    clock: Clock,
    emit: Callable[[Event], None],
    followers: list[Follower[Any]],
    blobs: RecentBlobs,
) -> Leading:
    """The leading part of a plan, with the policy and the limits that its profile says."""
    bundles = BundleWriter(
        folder=plan.divergences or plan.data_dir / DIVERGENCES,
        chain=lambda: files_of_table(plan.profile.chain or ChainTable(), plan.chain),
        made_by=software(),
        clock=clock,
    )
    panel = Panel(policy=plan.shadow.policy, leader_name=part.name, leader=version_of(part), bundles=bundles, emit=emit)
    return Leading(
        part=part,
        open_part=open_part,
        chain=plan.chain,
        panel=panel,
        limits=FollowerLimits(queue=plan.shadow.queue, seconds=plan.shadow.seconds),
        opened=opened,
        clock=clock,
        emit=emit,
        followers=followers,
        blobs=blobs,
    )


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
