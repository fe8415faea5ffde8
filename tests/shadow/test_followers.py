"""The task of a part that follows, and the policy: failures, hanging, overflow, votes. Steps are numbers here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from kroma_core.api import Role
from kroma_core.errors import TemporaryError
from kroma_core.events import (
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    Outvoted,
)
from kroma_core.node.chain_choice import ChainFiles
from kroma_core.node.shadow.bundle import BundleWriter
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
from kroma_core.node.shadow.follower import Follower, FollowerLimits
from kroma_core.node.shadow.leading import following
from kroma_core.node.shadow.panel import DivergenceHalt, Panel
from kroma_core.node.shadow.table import ShadowPolicy
from kroma_core.recording.compare import Difference
from tests.shadow.at_once import at_once

LEADER = PartVersion(kind="right", distribution="tests", version="1.0")


def cursor(number: int) -> Cursor:
    return Cursor(place=Place.L2_BLOCK, number=number, hash=number.to_bytes(32, "big"))


def divergence(number: int, kind: str) -> Divergence:
    return Divergence(
        role=Role.ENGINE,
        leader=LEADER,
        follower=PartVersion(kind=kind, distribution="tests", version="1.0"),
        cursor=cursor(number),
        differences=(Difference(field="gas_used", expected="1", got="2"),),
        inputs={},
        leader_output={"gas": 1},
        follower_output={"gas": 2},
    )


@attrs.define
class Scripted:
    """A comparison whose outcomes are scripted by step; it agrees where nothing is said."""

    name: str
    outcomes: dict[int, list[object]] = attrs.field(factory=dict)
    asked: list[int] = attrs.field(factory=list)
    opened: int = 0
    opening: list[Exception | float] = attrs.field(factory=list)
    """What the next openings do: raise, or take so many seconds."""

    async def compare(self, step: int) -> Outcome:
        self.asked.append(step)
        await trio.lowlevel.checkpoint()
        match self.outcomes.get(step, [])[:1]:
            case [Exception() as error]:
                self.outcomes[step].pop(0)
                raise error
            case ["hang"]:
                self.outcomes[step].pop(0)
                await trio.sleep_forever()
            case ["differs"]:
                return Differs(divergence=divergence(step, self.name))
            case ["parts"]:
                return Differs(divergence=divergence(step, self.name), parted=True)
            case ["lacks"]:
                return Unanswered(cursor=cursor(step), reason="pruned")
            case ["behind"]:
                self.outcomes[step].pop(0)
                return Behind(cursor=cursor(step), reason="not yet")
        return Agreed(cursor=cursor(step))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Scripted]:
        self.opened += 1
        if self.opening:
            what = self.opening.pop(0)
            if isinstance(what, Exception):
                raise what
            await trio.sleep(what)
        yield self


@attrs.define
class Stage:
    """Followers of one leading part under a policy, and what was told."""

    folder: Path
    policy: ShadowPolicy = ShadowPolicy.REPORT
    limits: FollowerLimits = attrs.field(factory=FollowerLimits)
    events: list[Event] = attrs.field(factory=list)
    followers: list[Follower[int]] = attrs.field(factory=list)
    panel: Panel = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        files = ChainFiles(rollup={}, l1={}, genesis=None)
        bundles = BundleWriter(folder=self.folder, chain=lambda: files, made_by="tests", clock=lambda: 0.0)
        self.panel = Panel(
            policy=self.policy,
            leader_name="leader",
            leader=LEADER,
            bundles=bundles,
            emit=self.events.append,
            aside=at_once,
        )

    def add(self, part: Scripted) -> None:
        self.followers.append(
            Follower(name=part.name, open=part.open, panel=self.panel, emit=self.events.append, limits=self.limits)
        )

    def offer(self, *steps: int) -> None:
        for step in steps:
            for follower in self.followers:
                follower.offer(step)

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            with trio.fail_after(10_000):
                async with following(self.followers):
                    await body()

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.02))

    def led(self, *steps: int, rest: float = 0) -> None:
        """Run with these steps of the leading part, and some time after them."""

        async def body() -> None:
            self.offer(*steps)
            await trio.sleep(rest)

        self.run(body)

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def staged(tmp_path: Path, *parts: Scripted, **settings: Any) -> Stage:
    stage = Stage(tmp_path, **settings)
    for part in parts:
        stage.add(part)
    return stage


def test_steps_are_compared_in_order_and_finished_at_the_end(tmp_path: Path) -> None:
    part = Scripted("a")
    stage = staged(tmp_path, part)
    stage.led(1, 2, 3)
    assert part.asked == [1, 2, 3]
    assert [event.compared for event in stage.told(FollowerAgreed)] == [1, 2, 3]


def test_a_part_that_fails_is_opened_again_later_and_asked_the_same(tmp_path: Path) -> None:
    part = Scripted("a", {2: [TemporaryError("gone"), KeyError("a mistake")]})
    stage = staged(tmp_path, part)
    stage.led(1, 2, 3, rest=60)
    assert part.asked == [1, 2, 2, 2, 3]
    assert part.opened == 3
    detached = stage.told(FollowerDetached)
    assert [(event.reason, event.delay) for event in detached] == [
        ("TemporaryError: gone", 1.0),
        ("KeyError: 'a mistake'", 2.0),
    ]
    assert len(stage.told(FollowerAttached)) == 3


def test_a_part_that_cannot_be_opened_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    part = Scripted("a", opening=[OSError("no such port")] * 4)
    stage = staged(tmp_path, part)
    stage.led(1, rest=60)
    assert [event.delay for event in stage.told(FollowerDetached)] == [1, 2, 4, 8]
    assert part.asked == [1]


def test_a_part_that_hangs_is_detached_and_comes_back(tmp_path: Path) -> None:
    part = Scripted("a", {1: ["hang"]})
    stage = staged(tmp_path, part, limits=FollowerLimits(seconds=30))
    stage.led(1, 2, rest=60)
    assert [event.reason for event in stage.told(FollowerDetached)] == ["no answer within 30 s"]
    assert part.asked == [1, 1, 2]


def test_a_part_that_hangs_while_it_opens_is_given_up(tmp_path: Path) -> None:
    part = Scripted("a", opening=[1000.0])
    stage = staged(tmp_path, part, limits=FollowerLimits(seconds=30))
    stage.led(1, rest=60)
    assert [event.reason for event in stage.told(FollowerDetached)] == ["no answer within 30 s"]
    assert part.asked == [1]


def test_the_end_does_not_wait_for_a_part_that_has_failed(tmp_path: Path) -> None:
    part = Scripted("a", opening=[OSError("no such port")] * 100)
    stage = staged(tmp_path, part)
    stage.led(1)
    assert len(stage.told(FollowerDetached)) == 1


def test_more_steps_than_the_queue_holds_are_given_up_and_the_newest_stay(tmp_path: Path) -> None:
    part = Scripted("a")
    stage = staged(tmp_path, part, limits=FollowerLimits(queue=4))
    stage.led(*range(1, 11))
    assert part.asked == [9, 10]
    assert [(event.dropped, event.waiting) for event in stage.told(FollowerBehind)] == [(4, 0), (4, 0)]
    assert stage.told(Diverged) == []


def test_a_part_that_is_behind_is_asked_again_and_told_of_once(tmp_path: Path) -> None:
    part = Scripted("a", {1: ["behind"] * 5})
    stage = staged(tmp_path, part)
    stage.led(1, 2, rest=60)
    assert part.asked == [1] * 6 + [2]
    assert [event.reason for event in stage.told(FollowerBehind)] == ["not yet"]


def test_a_divergence_is_reported_and_the_node_goes_on(tmp_path: Path) -> None:
    part = Scripted("a", {2: ["differs"]})
    stage = staged(tmp_path, part)
    stage.led(1, 2, 3)
    [event] = stage.told(Diverged)
    assert event.at == f"L2 block 2 (0x{2:064x})"
    assert event.fields == ("gas_used: 1, 2",)
    assert "goes on" in event.verdict
    assert Path(event.bundle).is_file()
    assert part.asked == [1, 2, 3]


def test_a_part_that_has_parted_is_asked_no_more(tmp_path: Path) -> None:
    part = Scripted("a", {2: ["parts"]})
    stage = staged(tmp_path, part)
    stage.led(1, 2, 3, rest=1000)
    assert part.asked == [1, 2]
    assert part.opened == 1
    assert [event.delay for event in stage.told(FollowerDetached)] == [None]


def test_a_divergence_halts_and_names_the_bundle(tmp_path: Path) -> None:
    stage = staged(tmp_path, Scripted("a", {2: ["differs"]}), policy=ShadowPolicy.HALT)
    with pytest.raises(DivergenceHalt) as halt:
        stage.led(1, 2, 3, rest=1000)
    [event] = stage.told(Diverged)
    assert event.bundle in str(halt.value)
    assert event.bundle.startswith(str(tmp_path))


def test_a_bundle_that_cannot_be_written_is_no_reason_to_keep_silent(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    stage = staged(folder, Scripted("a", {1: ["differs"]}), policy=ShadowPolicy.HALT)
    with pytest.raises(DivergenceHalt, match=r"missing: write .*file"):
        stage.led(1)


def test_a_majority_with_the_leading_part_outvotes_the_other(tmp_path: Path) -> None:
    right, wrong = Scripted("right"), Scripted("wrong", {2: ["differs"]})
    stage = staged(tmp_path, right, wrong, policy=ShadowPolicy.MAJORITY)
    stage.led(1, 2, 3)
    [outvoted] = stage.told(Outvoted)
    assert outvoted.part == "wrong"
    assert outvoted.verdict == "2 of 3 parts say what leader says: the node goes on (policy majority)"
    assert (right.asked, wrong.asked) == ([1, 2, 3], [1, 2, 3])


def test_a_majority_against_the_leading_part_ends_the_node(tmp_path: Path) -> None:
    parts = [Scripted(name, {2: ["differs"]}) for name in ("one", "other")]
    stage = staged(tmp_path, *parts, policy=ShadowPolicy.MAJORITY)
    with pytest.raises(DivergenceHalt, match="1 of 3 parts say what leader says: the node ends"):
        stage.led(1, 2, 3)
    assert len(stage.told(Diverged)) == 2


def test_a_vote_waits_for_those_who_have_not_come_so_far(tmp_path: Path) -> None:
    slow, wrong = Scripted("slow", {2: ["behind"] * 10}), Scripted("wrong", {2: ["differs"]})
    stage = staged(tmp_path, slow, wrong, policy=ShadowPolicy.MAJORITY)

    async def body() -> None:
        stage.offer(1, 2)
        await trio.sleep(5)
        assert [event.verdict for event in stage.told(Diverged)] == [
            "1 of 3 parts say what leader says, 1 still to be heard (policy majority)"
        ]
        assert stage.told(Outvoted) == []
        await trio.sleep(10)

    stage.run(body)
    assert [event.part for event in stage.told(Outvoted)] == ["wrong"]


def test_a_vote_does_not_wait_for_one_that_is_detached(tmp_path: Path) -> None:
    gone = Scripted("gone", opening=[OSError("no such port")] * 100)
    stage = staged(tmp_path, gone, Scripted("wrong", {2: ["differs"]}), policy=ShadowPolicy.MAJORITY)
    with pytest.raises(DivergenceHalt, match="1 of 2 parts"):
        stage.led(1, 2, 3, rest=100)


def test_one_without_an_answer_has_no_voice(tmp_path: Path) -> None:
    mute = Scripted("mute", {2: ["lacks"]})
    stage = staged(tmp_path, mute, Scripted("wrong", {2: ["differs"]}), policy=ShadowPolicy.MAJORITY)
    with pytest.raises(DivergenceHalt, match="1 of 2 parts"):
        stage.led(1, 2, 3, rest=100)
