"""Events in words, as JSON, and in the log."""

from __future__ import annotations

import enum
import io
import json

import attrs
import pytest

from kroma_core.cli.event_log import EventLog
from kroma_core.cli.event_text import event_fields, event_name, logfmt, sentence
from kroma_core.events import (
    BlockDerived,
    ChannelRead,
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    FrameSeen,
    FramesRead,
    HeadsMoved,
    InboxRead,
    L1Traversed,
    Noted,
    Outcome,
    Outvoted,
    PartDetached,
    PipelineReset,
    Retrying,
    StateMigrating,
    Subject,
    Verdict,
)
from kroma_core.node.profile import LogFormat, LogLevel
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp


class Reason(enum.StrEnum):
    LATE = "too late"


ID = BlockId(b"\x11" * 32, 7)
VERDICT = Verdict(
    subject=Subject.FRAME,
    name="ab/1",
    outcome=Outcome.DROPPED,
    reason=Reason.LATE,
    rule='derivation.md, "Channel Bank"',
    numbers=(("opened", 3), ("id", b"\x01")),
    origin=ID,
)
L2 = L2Ref(
    hash=b"\x22" * 32,
    number=L2Number(9),
    parent_hash=bytes(32),
    timestamp=Timestamp(1),
    l1_origin=ID,
    sequence_number=0,
)
EVERY: list[Event] = [
    VERDICT,
    ChannelRead(
        channel_id=b"\x01" * 16, frames=2, compressed=10, decompressed=30, compression="zlib", batches=1, opened=5
    ),
    L1Traversed(block=L1Ref(hash=bytes(32), number=L1Number(1), parent_hash=bytes(32), timestamp=Timestamp(12))),
    BlockDerived(block=L2, derived_from=ID, batch="span", transactions=3, gas_used=21000, consolidated=False),
    HeadsMoved(unsafe=ID, safe=ID, finalized=ID, derived_l1=ID),
    PipelineReset(reason="start", safe=ID, l1_start=ID),
    Retrying(part="l1", what="find", error="timeout", attempt=2, delay=0.5),
    PartDetached(part="metrics", error="ValueError: x"),
    InboxRead(transaction=bytes(32), index=1, type=3, blobs=2, inputs=2, origin=ID),
    FramesRead(input="ab/0", size=30, frames=(FrameSeen(b"\x01" * 16, 0, 6, True),), origin=ID),
    FollowerAttached(part="engine shadow 1"),
    FollowerDetached(part="engine shadow 1", reason="no answer", delay=2.0),
    FollowerBehind(part="engine shadow 1", at="L2 block 1", waiting=2, dropped=256, reason="slow"),
    FollowerAgreed(part="engine shadow 1", at="L2 block 1", compared=1, waiting=0),
    Diverged(leader="engine", part="shadow", at="L2 block 2", fields=("gas: 1, 2",), bundle="f", verdict="goes on"),
    Outvoted(leader="engine", part="shadow", at="L2 block 2", verdict="2 of 3 parts"),
    Noted(part="my-engine", text="12 blobs kept"),
]


def test_a_verdict_says_what_why_by_which_rule_and_with_which_numbers() -> None:
    assert sentence(VERDICT) == (
        'frame ab/1 in L1 block 7: dropped, too late (opened 3, id 0x01) [derivation.md, "Channel Bank"]'
    )


def test_a_transaction_is_named_by_its_hash_as_other_tools_take_it() -> None:
    name = "12" * 32
    assert sentence(attrs.evolve(VERDICT, subject=Subject.TRANSACTION, name=name)).startswith(
        f"transaction 0x{name} in "
    )


def test_hashes_have_their_prefix_in_fields_too() -> None:
    name = "12" * 32
    dropped = attrs.evolve(VERDICT, subject=Subject.TRANSACTION, name=name, numbers=(("input", f"{name}/1"),))
    fields = event_fields(dropped)
    assert (fields["name"], fields["numbers"]) == (f"0x{name}", {"input": f"0x{name}/1"})
    read = FramesRead(input=f"{name}/0", size=30, frames=(), origin=ID)
    assert event_fields(read)["input"] == f"0x{name}/0"
    assert sentence(read).startswith(f"input 0x{name}/0 in L1 block 7")


@pytest.mark.parametrize("event", EVERY, ids=event_name)
def test_every_event_has_words_and_json(event: Event) -> None:
    assert "\n" not in sentence(event)
    assert json.loads(json.dumps(event_fields(event))).keys() == event_fields(event).keys()


def test_a_verdict_as_json_has_flat_values() -> None:
    assert event_fields(VERDICT) == {
        "subject": "frame", "name": "ab/1", "outcome": "dropped", "reason": "too late",
        "rule": 'derivation.md, "Channel Bank"', "numbers": {"opened": 3, "id": "0x01"},
        "origin": {"number": 7, "hash": "0x" + "11" * 32}, "place": None,
    }  # fmt: skip


def test_names_are_snake_case() -> None:
    assert [event_name(event) for event in EVERY] == [
        "verdict", "channel_read", "l1_traversed", "block_derived", "heads_moved", "pipeline_reset", "retrying",
        "part_detached", "inbox_read", "frames_read", "follower_attached", "follower_detached", "follower_behind",
        "follower_agreed", "diverged", "outvoted", "noted",
    ]  # fmt: skip


def test_logfmt_quotes_what_has_spaces_and_flattens() -> None:
    assert logfmt({"a": 1, "b": {"c": "x y"}, "d": None, "e": ""}) == 'a=1 b.c="x y" e=""'


def lines(event: Event, level: LogLevel, form: LogFormat = LogFormat.TEXT, times: int = 1) -> list[str]:
    out = io.StringIO()
    log = EventLog(level=level, format=form, out=out, clock=lambda: 1_700_000_000.0)
    for _ in range(times):
        log.on_event(event)
    return out.getvalue().splitlines()


def test_the_level_decides_what_is_logged() -> None:
    traversed = EVERY[2]
    assert lines(traversed, LogLevel.INFO) == []
    assert len(lines(traversed, LogLevel.DEBUG)) == 1
    assert lines(VERDICT, LogLevel.WARNING) == []
    assert len(lines(EVERY[7], LogLevel.ERROR)) == 1


def test_events_that_come_in_thousands_do_not_fill_the_log() -> None:
    moved = EVERY[4]
    assert len(lines(moved, LogLevel.INFO, times=100)) == 1
    assert len(lines(moved, LogLevel.DEBUG, times=100)) == 100


def test_json_and_logfmt_lines() -> None:
    [line] = lines(VERDICT, LogLevel.INFO, LogFormat.JSON)
    assert json.loads(line)["event"] == "verdict"
    assert json.loads(line)["time"] == "2023-11-14T22:13:20Z"
    [line] = lines(VERDICT, LogLevel.INFO, LogFormat.LOGFMT)
    assert line.startswith("time=2023-11-14T22:13:20Z level=info event=verdict subject=frame ")


def test_the_migration_of_a_state_tells_how_far_it_is() -> None:
    going_on = StateMigrating(part="engine", block=9, accounts=128, complete=False)
    assert sentence(going_on) == "engine: migrating the state after block 9: 128 accounts, going on"
    assert sentence(attrs.evolve(going_on, complete=True)).endswith("128 accounts, all of them")
    assert sentence(attrs.evolve(going_on, slots=5)).endswith("128 accounts and 5 slots of the next one, going on")
    assert len(lines(going_on, LogLevel.INFO)) == 1


def test_a_divergence_tells_what_differs_what_follows_and_how_to_see_more() -> None:
    diverged = Diverged(leader="A", part="B", at="L2 block 2", fields=("gas: 1, 2",), bundle="f", verdict="goes on")
    assert sentence(diverged) == (
        "divergence at L2 block 2: A and B differ in gas: 1, 2; goes on; kroma divergence show f"
    )
    assert len(lines(diverged, LogLevel.ERROR)) == 1


@pytest.mark.parametrize("form", LogFormat)
def test_what_a_part_notes_is_a_line_at_level_info_in_the_format_of_the_log(form: LogFormat) -> None:
    out = io.StringIO()
    EventLog(level=LogLevel.WARNING, format=form, out=out).on_event(Noted(part="my-engine", text="12 blobs kept"))
    assert out.getvalue() == ""
    EventLog(level=LogLevel.INFO, format=form, out=out).on_event(Noted(part="my-engine", text="12 blobs kept"))
    [line] = out.getvalue().splitlines()
    if form is LogFormat.JSON:
        told = json.loads(line)
        assert (told["level"], told["part"], told["text"]) == ("info", "my-engine", "12 blobs kept")
    else:
        assert "my-engine: 12 blobs kept" in line or 'part=my-engine text="12 blobs kept"' in line
