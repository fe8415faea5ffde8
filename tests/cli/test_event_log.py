"""Lines of a running node: what gets one, and how often."""

from __future__ import annotations

import enum
import io
import json

from kroma_core.cli.event_log import EventLog
from kroma_core.events import (
    HeadsMoved,
    L1HeadsChanged,
    L1Reorganised,
    Outcome,
    PartDetached,
    Retrying,
    Subject,
    Verdict,
)
from kroma_core.l1 import L1Heads
from kroma_core.node.profile import LogFormat, LogLevel
from kroma_core.types import BlockId, L1Number, L1Ref, Timestamp

L1_REF = L1Ref(hash=bytes(32), number=L1Number(1), parent_hash=bytes(32), timestamp=Timestamp(1))
BLOCK = BlockId(b"\x01" * 32, 1)
MOVED = HeadsMoved(unsafe=BLOCK, safe=BLOCK, finalized=BLOCK, derived_l1=BLOCK)


class Reason(enum.StrEnum):
    OLD = "too old"
    ODD = "too odd"


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def log(level: LogLevel = LogLevel.INFO, form: LogFormat = LogFormat.TEXT) -> tuple[EventLog, io.StringIO, Time]:
    out, clock = io.StringIO(), Time()
    return EventLog(level=level, format=form, out=out, clock=clock), out, clock


def failing(part: str, block: int) -> Retrying:
    return Retrying(part=part, what=f"fetch block {block}", error="refused", attempt=block, delay=1.0)


def dropped(reason: Reason) -> Verdict:
    return Verdict(subject=Subject.BATCH, name="b", outcome=Outcome.DROPPED, reason=reason, rule="page")


def lines(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def test_a_part_that_fails_for_a_day_gets_few_lines_that_count_the_rest() -> None:
    events, out, clock = log()
    for second in range(86_400):
        clock.now += 1
        events.on_event(failing("l1", second))
    found = lines(out)
    assert 10 < len(found) < 200
    assert "and 9 like it before" in found[1]
    assert "and 599 like it before" in found[-1]


def test_another_part_that_fails_gets_its_own_line() -> None:
    events, out, _ = log()
    events.on_event(failing("l1", 1))
    events.on_event(failing("engine", 1))
    assert len(lines(out)) == 2


def test_a_failure_after_a_long_quiet_time_gets_its_line_at_once() -> None:
    events, out, clock = log()
    for second in range(0, 3600, 5):
        clock.now += 5
        events.on_event(failing("l1", second))
    before = len(lines(out))
    clock.now += 7200
    events.on_event(failing("l1", 1))
    clock.now += 10
    events.on_event(failing("l1", 2))
    assert len(lines(out)) == before + 2


def test_drops_for_one_reason_do_not_hide_those_for_another() -> None:
    events, out, _ = log()
    for _ in range(1000):
        events.on_event(dropped(Reason.OLD))
    events.on_event(dropped(Reason.ODD))
    assert [("too odd" in line) for line in lines(out)] == [False, True]


def test_heads_get_one_line_a_second_without_a_count() -> None:
    events, out, clock = log()
    for _ in range(4000):
        clock.now += 0.001
        events.on_event(MOVED)
    assert 4 <= len(lines(out)) <= 5
    assert "like it" not in out.getvalue()


def moved_to(number: int) -> HeadsMoved:
    block = BlockId(b"\x01" * 32, number)
    return HeadsMoved(unsafe=block, safe=block, finalized=block, derived_l1=block)


def test_the_heads_that_a_burst_ended_with_are_told_with_the_next_event() -> None:
    events, out, clock = log()
    for number in range(100):
        events.on_event(moved_to(number))
    clock.now += 2
    events.on_event(L1HeadsChanged(heads=L1Heads(unsafe=L1_REF)))
    assert [line.split()[3] for line in lines(out)] == ["0", "99"]


def test_a_node_that_ends_tells_where_it_stands() -> None:
    events, out, _ = log()
    for number in range(100):
        events.on_event(moved_to(number))
    events.close()
    events.close()
    assert [line.split()[3] for line in lines(out)] == ["0", "99"]


def test_at_debug_level_every_event_gets_a_line() -> None:
    events, out, _ = log(LogLevel.DEBUG)
    for block in range(50):
        events.on_event(failing("l1", block))
    assert len(lines(out)) == 50


def test_the_level_may_change_while_the_node_runs() -> None:
    events, out, clock = log(LogLevel.ERROR)
    events.on_event(failing("l1", 1))
    events.level = LogLevel.WARNING
    clock.now += 1
    events.on_event(failing("l1", 2))
    events.on_event(MOVED)
    assert len(lines(out)) == 1
    assert "block 2" in out.getvalue()


def test_a_json_line_says_how_many_were_left_out() -> None:
    events, out, clock = log(form=LogFormat.JSON)
    for block in range(3):
        events.on_event(failing("l1", block))
    clock.now += 60
    events.on_event(failing("l1", 3))
    first, second = (json.loads(line) for line in lines(out))
    assert "left_out" not in first
    assert second["left_out"] == 2
    assert second["event"] == "retrying"


def test_levels_follow_what_an_operator_has_to_know() -> None:
    events, out, _ = log(LogLevel.WARNING)
    events.on_event(MOVED)
    events.on_event(dropped(Reason.OLD))
    events.on_event(L1Reorganised(depth=2, old=BLOCK, new=BLOCK))
    events.on_event(PartDetached(part="observe 'x'", error="boom"))
    assert [line.split()[1] for line in lines(out)] == ["WARNING", "ERROR"]


def test_a_clock_that_is_set_back_does_not_silence_the_log() -> None:
    events, out, clock = log()
    events.on_event(MOVED)
    clock.now -= 86_400
    events.on_event(MOVED)
    assert len(lines(out)) == 2
