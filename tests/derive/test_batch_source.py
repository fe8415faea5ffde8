"""The first half of derivation as a whole: the order of its outputs, and what it reports."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.channels import ChannelProblem
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import Frame, FrameProblem, encode_frames
from kroma_core.derive.span_batch import UnusableReason
from kroma_core.derive.span_encoder import encode_span_batch, span_of
from kroma_core.events import ChannelRead, FramesRead, Outcome, Subject, Verdict
from tests.derive.batcher_data import (
    ALICE_CHANNEL,
    BEDROCK,
    BOB_CHANNEL,
    DELTA,
    STRICT,
    TERMS,
    Reader,
    block,
    encoded,
    frame,
)


def channel(
    *numbers: int, channel_id: bytes = ALICE_CHANNEL, max_data: int = 1000, compression: Compression = Compression.ZLIB
) -> list[Frame]:
    return list(encode_channel(encoded(*numbers), compression, channel_id=channel_id, max_frame_data=max_data))


def span(*numbers: int) -> bytes:
    return encode_span_batch(span_of([block(number) for number in numbers]), TERMS, first_of_epoch=False)


@given(st.integers(1, 200), st.sampled_from(list(Compression)), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_frames_of_any_size_give_the_same_batches(size: int, compression: Compression, inputs: int) -> None:
    frames = channel(1, 2, 3, max_data=size, compression=compression)
    reader = Reader(STRICT)
    for start in range(0, len(frames), inputs):
        reader.inputs(encode_frames(frames[start : start + inputs]))
    assert reader.batches == [(1, block(number)) for number in (1, 2, 3)]


@given(st.randoms(use_true_random=False), st.integers(5, 60))
@settings(max_examples=30, deadline=None)
def test_before_strict_order_frames_may_come_in_any_order(chance: random.Random, size: int) -> None:
    frames = channel(1, 2, 3, max_data=size)
    chance.shuffle(frames)
    reader = Reader(BEDROCK)
    for number, one in enumerate(frames):
        if number and chance.random() < 0.3:
            reader.advance(reader.source.origin.number + 1)
        reader.inputs(encode_frames([one]))
    assert [batch for _, batch in reader.batches] == [block(number) for number in (1, 2, 3)]


def test_two_channels_in_one_input_come_out_in_the_order_of_their_completion() -> None:
    alice = channel(1, max_data=20)
    bob = channel(2, channel_id=BOB_CHANNEL, max_data=20)
    reader = Reader(DELTA)
    reader.inputs(encode_frames([alice[0], *bob, *alice[1:]]))
    assert [batch for _, batch in reader.batches] == [block(2), block(1)]


def test_a_span_batch_is_skipped_until_its_upgrade() -> None:
    data = encode_frames(encode_channel([span(1, 2), *encoded(3)], Compression.ZLIB, channel_id=ALICE_CHANNEL))
    early, later = Reader(BEDROCK), Reader(DELTA)
    early.inputs(data)
    later.inputs(data)
    assert [batch for _, batch in early.batches] == [block(3)]
    assert early.reasons == [UnusableReason.TOO_EARLY]
    assert [batch for _, batch in later.batches] == [span_of([block(1), block(2)]), block(3)]


def test_what_follows_an_unknown_batch_type_in_its_channel_is_lost() -> None:
    batches = [*encoded(1), b"\x09??", *encoded(2)]
    reader = Reader(DELTA)
    reader.inputs(encode_frames(encode_channel(batches, Compression.ZLIB, channel_id=ALICE_CHANNEL)))
    assert [batch for _, batch in reader.batches] == [block(1)]
    assert reader.reasons == ["unknown batch type"]


def test_a_channel_that_was_read_is_reported_with_its_sizes() -> None:
    frames = channel(1, 2, max_data=20)
    reader = Reader(DELTA)
    reader.inputs(encode_frames(frames[:1]))
    reader.advance(2)
    reader.inputs(encode_frames(frames[1:]))
    (report,) = [each for each in reader.reports if isinstance(each, ChannelRead)]
    assert report == ChannelRead(
        channel_id=ALICE_CHANNEL,
        frames=len(frames),
        compressed=sum(len(one.data) for one in frames),
        decompressed=2 * (2 + len(encode_singular_batch(block(1)))),
        compression="zlib",
        batches=2,
        opened=1,
        origin=report.origin,
    )


def test_an_input_is_reported_with_its_frames_before_anything_is_said_of_them() -> None:
    frames = channel(1, 2, max_data=20)
    reader = Reader(DELTA)
    reader.inputs(encode_frames(frames[:2]))
    report = reader.reports[0]
    assert isinstance(report, FramesRead)
    assert [(each.channel_id, each.number, each.size, each.is_last) for each in report.frames] == [
        (frame.channel_id, frame.number, len(frame.data), frame.is_last) for frame in frames[:2]
    ]


def test_data_without_frames_is_reported_by_its_name() -> None:
    reader = Reader(DELTA)
    reader.inputs(b"\x01commitment")
    reader.source.feed(b"", name="0xab")
    verdicts = [report for report in reader.reports if isinstance(report, Verdict)]
    assert [(verdict.subject, verdict.outcome, verdict.name, verdict.reason) for verdict in verdicts] == [
        (Subject.DATA, Outcome.DROPPED, "1#0", FrameProblem.UNKNOWN_VERSION),
        (Subject.DATA, Outcome.DROPPED, "0xab", FrameProblem.EMPTY),
    ]


def test_with_strict_order_the_channels_of_before_are_lost() -> None:
    frames = channel(1, max_data=20)
    reader = Reader(DELTA)
    reader.inputs(encode_frames(frames[:1]))
    reader.advance(2, STRICT)
    reader.inputs(encode_frames(frames[1:]))
    assert reader.batches == []
    assert reader.reasons[0] == ChannelProblem.ORDER_BEGINS


def test_a_flush_drops_the_rest_of_the_channel_and_the_one_being_put_together() -> None:
    reader = Reader(STRICT)
    source = reader.source
    source.feed(encode_frames([*channel(1, 2), frame(BOB_CHANNEL, 0)]))
    assert source.next_batch() == block(1)
    source.flush_channel()
    assert source.next_batch() is None
    source.flush_channel()
    assert reader.reasons == [ChannelProblem.FLUSHED]
    reader.inputs(encode_frames(channel(3)))
    assert reader.batches == [(1, block(3))]


def test_a_block_has_to_be_read_to_its_end_before_the_next_one() -> None:
    reader = Reader(DELTA)
    reader.source.feed(encode_frames(channel(1)))
    with pytest.raises(ValueError, match="has not been read to its end"):
        reader.advance(2)


@given(st.lists(st.binary(max_size=120), max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_inputs_are_taken(inputs: list[bytes], strict: bool) -> None:
    reader = Reader(STRICT if strict else DELTA)
    for number, data in enumerate(inputs):
        reader.inputs(b"\0" + data, encode_frames([frame(ALICE_CHANNEL, number % 3, data, last=number % 2 == 0)]))
        reader.advance(number + 2)
