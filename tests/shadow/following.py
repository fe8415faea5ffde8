"""A source that follows another in a test: its comparison, its follower, and what observers are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio
import trio.testing

from kroma_core.events import Diverged, Event, FollowerAgreed, FollowerBehind, FollowerDetached, Warned
from kroma_core.forks import Fork
from kroma_core.node.chain_choice import files_of_table
from kroma_core.node.profile import ChainTable
from kroma_core.node.shadow.bundle import Bundle, BundleWriter, read_bundle
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import following
from kroma_core.node.shadow.panel import Panel
from kroma_core.node.shadow.source_comparison import Compares, SourceFollowing
from kroma_core.node.shadow.table import ShadowPolicy
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from tests.shadow.at_once import at_once

CHAIN = rollup_on(ScriptedL1(), forks=all_forks_until(Fork.ECOTONE))
LEADER = PartVersion(kind="right", distribution="tests", version="1.0")
FOLLOWER = PartVersion(kind="other", distribution="tests", version="2.0")
E = TypeVar("E")


class Altered:
    """A part whose answers go through functions, by the name of the method."""

    def __init__(self, part: Any, **changes: Callable[[Any], Any]) -> None:
        self._part = part
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        answer, change = getattr(self._part, name), self._changes.get(name)
        if change is None:
            return answer

        async def call(*arguments: Any) -> Any:
            return change(await answer(*arguments))

        return call


@attrs.define(kw_only=True)
class Shadow:
    """One follower of a source, and what was told of it."""

    follower: Follower[Any]
    events: list[Event]

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def agreed(self) -> list[str]:
        return [event.at for event in self.told(FollowerAgreed)]

    @property
    def diverged(self) -> list[Diverged]:
        return self.told(Diverged)

    @property
    def detached(self) -> list[str]:
        return [event.reason for event in self.told(FollowerDetached)]

    @property
    def behind(self) -> list[tuple[str, int]]:
        return [(event.reason, event.dropped) for event in self.told(FollowerBehind)]

    @property
    def warnings(self) -> list[str]:
        return [event.warning for event in self.told(Warned)]

    def bundle(self) -> Bundle:
        """What was kept of the only divergence."""
        [event] = self.diverged
        return read_bundle(Path(event.bundle))


def shadow_of(
    source: Any,
    compares: Compares,
    folder: Path,
    *,
    live: bool = True,
) -> Shadow:
    events: list[Event] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield compares(
            SourceFollowing(leader=LEADER, follower=FOLLOWER, live=live),
            source,
            lambda text: events.append(Warned(part="follower", warning=text)),
        )

    panel = Panel(
        policy=ShadowPolicy.REPORT,
        leader_name="leader",
        leader=LEADER,
        bundles=BundleWriter(
            folder=folder,
            chain=lambda: files_of_table(ChainTable(), CHAIN),
            made_by="tests",
            clock=lambda: 1_700_000_000.0,
        ),
        emit=events.append,
        aside=at_once,
    )
    follower = Follower(name="follower", open=opened, panel=panel, emit=events.append)
    return Shadow(follower=follower, events=events)


def followed(shadow: Shadow, body: Callable[[], Awaitable[None]]) -> None:
    """Run `body` with the follower beside it, which may finish what waits; time passes by itself.

    Also while a thread writes a bundle: so nothing here has a deadline.
    """

    async def main() -> None:
        async with following([shadow.follower]):
            await body()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.02))
