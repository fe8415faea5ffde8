"""Whether a node is ready and alive, from its status and from what its events told."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.events import Diverged, L1Traversed, Outvoted, PartDetached, RequestAnswered, Retrying, Searching
from kroma_core.l2 import Heads
from kroma_core.node.health import HealthLimits, judge
from kroma_core.node.watch import Signs, Silence, Trouble, Watch
from kroma_core.status import SyncStatus
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp

NOW = 1_000_000.0
"""The time of every judgement, unless a test says otherwise."""


def l1(number: int, age: float = 6) -> L1Ref:
    return L1Ref(hash=bytes(32), number=L1Number(number), parent_hash=bytes(32), timestamp=Timestamp(int(NOW - age)))


L2 = L2Ref(
    hash=bytes(32),
    number=L2Number(7),
    parent_hash=bytes(32),
    timestamp=Timestamp(int(NOW - 20)),
    l1_origin=BlockId(bytes(32), 90),
    sequence_number=0,
)
GOOD = SyncStatus(current_l1=l1(99), head_l1=l1(100), heads=Heads.all_at(L2))
QUIET = Signs(started=NOW - 3600, progress=NOW - 5)


def not_ready(status: SyncStatus = GOOD, signs: Signs = QUIET, **more: Any) -> list[str]:
    return [reason.code for reason in judge(status, signs, NOW, **more).not_ready]


def not_alive(status: SyncStatus = GOOD, signs: Signs = QUIET) -> list[str]:
    return [reason.code for reason in judge(status, signs, NOW).not_alive]


def test_a_node_at_the_head_is_ready_and_alive() -> None:
    assert not_ready() == not_alive() == []


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"heads": None}, ["not_started"]),
        ({"head_l1": None}, ["no_l1_head"]),
        ({"current_l1": None}, ["never_derived"]),
        ({"head_l1": l1(100, age=119)}, []),
        ({"head_l1": l1(100, age=121)}, ["l1_stale"]),
        ({"current_l1": l1(90)}, []),
        ({"current_l1": l1(89)}, ["not_synced"]),
        ({"head_l1": None, "current_l1": None, "heads": None}, ["not_started", "no_l1_head", "never_derived"]),
    ],
)
def test_reasons_that_the_status_gives(change: dict[str, Any], codes: list[str]) -> None:
    assert not_ready(attrs.evolve(GOOD, **change)) == codes


def test_l1_blocks_that_are_left_alone_on_purpose_do_not_count() -> None:
    status = attrs.evolve(GOOD, current_l1=l1(86))
    assert not_ready(status) == ["not_synced"]
    assert not_ready(status, confirmations=4) == []


@pytest.mark.parametrize(("seconds", "codes"), [(4.0, []), (6.0, ["engine_silent"])])
def test_an_engine_that_does_not_answer_is_told_after_a_while(seconds: float, codes: list[str]) -> None:
    silence = Silence(part="engine rpc", servers=("http://a:8551",), since=NOW - seconds, outcome="timeout")
    assert not_ready(signs=attrs.evolve(QUIET, silent=(silence,))) == codes


def test_a_reason_names_server_duration_and_what_became_of_the_last_request() -> None:
    silence = Silence(part="l1 rpc", servers=("http://a:1", "http://b:2"), since=NOW - 60, outcome="unreachable")
    [reason] = judge(GOOD, attrs.evolve(QUIET, silent=(silence,)), NOW).not_ready
    assert (reason.code, reason.text) == (
        "l1_silent",
        "l1 rpc: no answer from http://a:1, http://b:2 for 60 s (unreachable)",
    )


def test_what_is_tried_again_for_long_is_told_with_its_error() -> None:
    trouble = Trouble(part="driver", what="fetch L1 block 5", error="gone", since=NOW - 30, until=NOW + 5)
    [reason] = judge(GOOD, attrs.evolve(QUIET, troubles=(trouble,)), NOW).not_ready
    assert reason.text == "driver has tried to fetch L1 block 5 for 30 s: gone"


def test_a_node_that_stands_still_behind_the_head_is_not_alive() -> None:
    status, signs = attrs.evolve(GOOD, current_l1=l1(50)), attrs.evolve(QUIET, progress=NOW - 601)
    assert not_alive(status, signs) == ["stalled"]
    assert not_alive(attrs.evolve(GOOD, current_l1=None), signs) == ["stalled"]


def test_a_node_that_waits_for_somebody_is_alive_however_long() -> None:
    silence = Silence(part="l1 rpc", servers=("http://a:1",), since=NOW - 9000, outcome="timeout")
    signs = attrs.evolve(QUIET, progress=NOW - 9000, silent=(silence,))
    assert not_alive(attrs.evolve(GOOD, current_l1=l1(50)), signs) == []


def test_a_node_at_the_head_of_an_l1_that_stands_still_is_alive() -> None:
    assert not_alive(signs=attrs.evolve(QUIET, progress=NOW - 9000)) == []


def test_a_search_is_a_reason_until_something_is_derived() -> None:
    watch = Watch(clock=Hands())
    watch.on_event(Searching(part="engine", what="L2 blocks below an unsafe one", at=7, towards=94))
    [reason] = judge(GOOD, attrs.evolve(QUIET, search=watch.signs().search), NOW).not_ready
    assert (reason.code, reason.text) == (
        "searching",
        "engine: L2 blocks below an unsafe one: at block 7, at the latest until 94",
    )
    watch.on_event(L1Traversed(block=l1(5)))
    assert watch.signs().search is None


def test_limits_can_be_others() -> None:
    assert not_ready(limits=HealthLimits(l1_age=3)) == ["l1_stale"]


@attrs.define
class Hands:
    """A clock that a test moves."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def answered(outcome: str, part: str = "engine rpc", server: str = "http://a:1") -> RequestAnswered:
    return RequestAnswered(part=part, server=server, method="m", seconds=0.1, outcome=outcome)


def retrying(attempt: int, what: str = "fetch", delay: float = 2.0) -> Retrying:
    return Retrying(part="driver", what=what, error="no", attempt=attempt, delay=delay)


def test_a_server_is_silent_from_its_first_failure_to_its_next_answer() -> None:
    clock = Hands()
    watch = Watch(clock=clock)
    watch.on_event(answered("timeout"))
    clock.now += 30
    watch.on_event(answered("unreachable"))
    assert watch.signs().silent == (
        Silence(part="engine rpc", servers=("http://a:1",), since=NOW, outcome="unreachable"),
    )
    watch.on_event(answered("ok"))
    assert watch.signs().silent == ()


def test_a_part_with_one_server_that_answers_is_not_silent() -> None:
    watch = Watch(clock=Hands())
    watch.on_event(answered("timeout", server="http://a:1"))
    watch.on_event(answered("ok", server="http://b:2"))
    assert watch.signs().silent == ()
    watch.on_event(answered("timeout", server="http://b:2"))
    assert [silence.servers for silence in watch.signs().silent] == [("http://a:1", "http://b:2")]


def test_an_error_object_is_an_answer() -> None:
    watch = Watch(clock=Hands())
    watch.on_event(answered("error"))
    assert watch.signs().silent == ()


def test_a_trouble_begins_with_its_first_attempt_and_ends_when_no_other_follows() -> None:
    clock = Hands()
    watch = Watch(clock=clock)
    for attempt in (1, 2, 3):
        watch.on_event(retrying(attempt))
        clock.now += 2
    [trouble] = watch.signs().troubles
    assert trouble.since == NOW
    clock.now += 20
    assert watch.signs().troubles == ()


def test_another_thing_that_fails_is_another_trouble() -> None:
    clock = Hands()
    watch = Watch(clock=clock)
    watch.on_event(retrying(5, what="one"))
    clock.now += 3
    watch.on_event(retrying(1, what="other"))
    assert [(trouble.what, trouble.since) for trouble in watch.signs().troubles] == [("other", NOW + 3)]


def test_progress_and_detached_parts_are_noted() -> None:
    clock = Hands()
    watch = Watch(clock=clock)
    clock.now += 50
    watch.on_event(L1Traversed(block=l1(5)))
    watch.on_event(PartDetached(part="metrics", error="broke"))
    signs = watch.signs()
    assert (signs.started, signs.progress, signs.detached) == (NOW, NOW + 50, ("metrics: broke",))


def test_a_node_whose_shadow_differs_is_not_ready_until_the_other_one_is_outvoted() -> None:
    watch = Watch(clock=Hands())
    where = "L2 block 7"
    watch.on_event(Diverged(leader="A", part="B", at=where, fields=("hash: 1, 2",), bundle="f.gz", verdict="goes on"))
    signs = watch.signs()
    assert signs.diverged == ("B and A differ at L2 block 7: kroma divergence show f.gz",)
    assert not_ready(signs=attrs.evolve(QUIET, diverged=signs.diverged)) == ["diverged"]
    watch.on_event(Outvoted(leader="A", part="B", at="L2 block 6", verdict="2 of 3"))
    assert len(watch.signs().diverged) == 1
    watch.on_event(Outvoted(leader="A", part="B", at=where, verdict="2 of 3"))
    assert watch.signs().diverged == ()
