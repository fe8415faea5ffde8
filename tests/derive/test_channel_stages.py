"""Channel bank and channel assembler: timeouts, limits, and which frames a channel takes."""

from __future__ import annotations

import attrs
import pytest

from kroma_core.derive.channel_assembler import ChannelAssembler
from kroma_core.derive.channel_bank import ChannelBank
from kroma_core.derive.channels import Channel, ChannelProblem
from kroma_core.events import Verdict
from kroma_core.types import L1Number
from tests.derive.batcher_data import ALICE_CHANNEL as A
from tests.derive.batcher_data import BEDROCK, DELTA, STRICT, frame, origin
from tests.derive.batcher_data import BOB_CHANNEL as B

TIMEOUT = 10


def test_a_channel_is_read_once_its_frames_are_complete_in_any_order() -> None:
    channel = Channel(A, L1Number(1), in_order=False)
    ready = []
    for one in (frame(A, 2, b"c", last=True), frame(A, 0, b"a"), frame(A, 1, b"b")):
        assert channel.add(one, L1Number(1)) is None
        ready.append(channel.is_ready)
    assert ready == [False, False, True]
    assert channel.content().data == b"abc"


def test_a_last_frame_drops_those_above_it_and_lowers_the_size_for_all() -> None:
    channel = Channel(A, L1Number(1), in_order=False)
    for number in (0, 1, 5):
        channel.add(frame(A, number, b"xx"), L1Number(1))
    channel.add(frame(A, 3, b"yyy", last=True), L1Number(1))
    assert channel.size == 203  # the client counts nothing for 0 and 1, which it keeps
    assert channel.add(frame(A, 5), L1Number(1)) is ChannelProblem.BEYOND_LAST
    channel.add(frame(A, 2), L1Number(1))
    assert channel.content().data == b"xxxxyyy"


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (frame(B, 1), ChannelProblem.OTHER_CHANNEL),
        (frame(A, 0), ChannelProblem.DUPLICATE),
        (frame(A, 2), ChannelProblem.NOT_NEXT),
    ],
)
def test_a_channel_in_order_says_why_it_takes_no_frame(second: object, problem: ChannelProblem) -> None:
    channel = Channel(A, L1Number(1), in_order=True)
    channel.add(frame(A, 0), L1Number(1))
    assert channel.add(second, L1Number(1)) is problem  # type: ignore[arg-type]  # a frame


def test_a_channel_is_still_read_in_the_last_block_of_its_timeout() -> None:
    bank = ChannelBank(TIMEOUT, lambda verdict: None)
    bank.ingest(frame(A, 0, b"x"), origin(1), BEDROCK)
    bank.ingest(frame(A, 1, last=True), origin(1 + TIMEOUT), BEDROCK)
    channel = bank.read(origin(1 + TIMEOUT), BEDROCK)
    assert channel is not None
    assert channel.opened_at == 1


def test_a_channel_times_out_one_block_later() -> None:
    verdicts: list[Verdict] = []
    bank = ChannelBank(TIMEOUT, verdicts.append)
    bank.ingest(frame(A, 0, last=True), origin(1), BEDROCK)
    assert bank.read(origin(2 + TIMEOUT), BEDROCK) is None
    assert [verdict.reason for verdict in verdicts] == [ChannelProblem.TIMED_OUT]
    assert verdicts[0].numbers == (("opened", 1), ("origin", 2 + TIMEOUT), ("timeout", TIMEOUT))


def test_a_fixed_timeout_overrides_the_configured_one() -> None:
    bank = ChannelBank(TIMEOUT, lambda verdict: None)
    rules = attrs.evolve(BEDROCK, fixed_channel_timeout=50)
    bank.ingest(frame(A, 0, last=True), origin(1), rules)
    assert bank.read(origin(51), rules) is not None


def test_at_first_only_the_oldest_channel_is_read() -> None:
    bank = ChannelBank(TIMEOUT, lambda verdict: None)
    bank.ingest(frame(A, 0), origin(1), BEDROCK)
    bank.ingest(frame(B, 0, b"b", last=True), origin(1), BEDROCK)
    assert bank.read(origin(1), BEDROCK) is None
    later = bank.read(origin(1), DELTA)
    assert later is not None
    assert later.id == B


def test_a_late_frame_opens_a_channel_that_blocks_the_next_one() -> None:
    bank = ChannelBank(TIMEOUT, lambda verdict: None)
    bank.ingest(frame(A, 0), origin(1), BEDROCK)
    assert bank.read(origin(12), BEDROCK) is None
    bank.ingest(frame(A, 1, last=True), origin(12), BEDROCK)
    bank.ingest(frame(B, 0, last=True), origin(12), BEDROCK)
    assert bank.read(origin(12), BEDROCK) is None
    assert bank.read(origin(22), BEDROCK) is None
    assert bank.read(origin(23), BEDROCK) is None  # both have timed out


def test_the_oldest_channel_is_dropped_when_the_bank_is_full() -> None:
    verdicts: list[Verdict] = []
    bank = ChannelBank(TIMEOUT, verdicts.append)
    rules = attrs.evolve(BEDROCK, channel_bank_size=500)
    bank.ingest(frame(A, 0, bytes(60)), origin(1), rules)
    bank.ingest(frame(B, 0, bytes(40), last=True), origin(1), rules)
    assert verdicts == []
    bank.ingest(frame(A, 1, b"x"), origin(1), rules)
    assert verdicts[0].reason is ChannelProblem.BANK_FULL
    assert verdicts[0].numbers == (("size", 461), ("bank", 701), ("limit", 500))
    remaining = bank.read(origin(1), rules)
    assert remaining is not None
    assert remaining.id == B


def test_in_strict_order_a_first_frame_replaces_the_open_channel() -> None:
    verdicts: list[Verdict] = []
    assembler = ChannelAssembler(TIMEOUT, verdicts.append)
    assembler.ingest(frame(A, 0), origin(1), STRICT)
    assembler.ingest(frame(B, 0, b"b", last=True), origin(2), STRICT)
    assert [verdict.reason for verdict in verdicts] == [ChannelProblem.ABANDONED]
    channel = assembler.read(origin(2), STRICT)
    assert channel is not None
    assert channel.data == b"b"
    assert assembler.read(origin(2), STRICT) is None


def test_in_strict_order_a_later_frame_opens_nothing() -> None:
    verdicts: list[Verdict] = []
    assembler = ChannelAssembler(TIMEOUT, verdicts.append)
    assembler.ingest(frame(A, 1, last=True), origin(1), STRICT)
    assert [verdict.reason for verdict in verdicts] == [ChannelProblem.NO_CHANNEL]


def test_in_strict_order_a_channel_that_grows_too_large_is_dropped() -> None:
    verdicts: list[Verdict] = []
    assembler = ChannelAssembler(TIMEOUT, verdicts.append)
    rules = attrs.evolve(STRICT, rlp_bytes_per_channel=250)
    assembler.ingest(frame(A, 0, bytes(50)), origin(1), rules)
    assert verdicts == []
    assembler.ingest(frame(A, 1, last=True), origin(1), rules)
    assert verdicts[0].reason is ChannelProblem.TOO_LARGE
    assert assembler.read(origin(1), rules) is None


def test_a_flushed_assembler_has_no_channel() -> None:
    assembler = ChannelAssembler(TIMEOUT, lambda verdict: None)
    assembler.ingest(frame(A, 0), origin(1), STRICT)
    assembler.flush(origin(1))
    assembler.ingest(frame(A, 1, last=True), origin(1), STRICT)
    assert assembler.read(origin(1), STRICT) is None
