"""Frames: one bad frame voids its input, and strict order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kroma_core.derive.frame_queue import FrameOrderProblem, in_strict_order
from kroma_core.derive.frames import MAX_FRAME_DATA, Frame, FrameProblem, decode_frames, encode_frames
from kroma_core.derive.malformed import Malformed
from tests.derive.batcher_data import ALICE_CHANNEL as A
from tests.derive.batcher_data import BOB_CHANNEL as B
from tests.derive.batcher_data import frame

frames = st.lists(
    st.builds(
        Frame,
        channel_id=st.binary(min_size=16, max_size=16),
        number=st.integers(0, 65535),
        data=st.binary(max_size=100),
        is_last=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def test_a_frame_has_the_layout_of_the_spec() -> None:
    data = bytes.fromhex("00" + "61" * 16 + "0102" + "00000003" + "646464" + "01")
    assert decode_frames(data) == (frame(A, 0x102, b"ddd", last=True),)


@given(frames)
def test_frames_come_back_from_their_encoding(given_frames: list[Frame]) -> None:
    assert decode_frames(encode_frames(given_frames)) == tuple(given_frames)


@given(frames, st.data())
def test_an_input_that_is_cut_anywhere_but_between_frames_has_no_frames(
    given_frames: list[Frame], data: st.DataObject
) -> None:
    whole = encode_frames(given_frames)
    ends = [len(encode_frames(given_frames[: count + 1])) for count in range(len(given_frames))]
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in ends))
    assert isinstance(decode_frames(whole[:cut]), Malformed)


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_malformed(data: bytes) -> None:
    decode_frames(b"\0" + data)
    decode_frames(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", FrameProblem.EMPTY),
        (b"\x01abc", FrameProblem.UNKNOWN_VERSION),
        (b"\x00", FrameProblem.NO_FRAMES),
        (b"\x00" + A, FrameProblem.CUT_SHORT),
        (b"\x00" + A + bytes(2) + (MAX_FRAME_DATA + 1).to_bytes(4, "big"), FrameProblem.TOO_LONG),
        (b"\x00" + A + bytes(6) + b"\x02", FrameProblem.BAD_LAST_FLAG),
        (encode_frames([frame(A, 0)]) + b"\x00", FrameProblem.CUT_SHORT),
    ],
)
def test_an_input_without_frames_says_why(data: bytes, problem: FrameProblem) -> None:
    found = decode_frames(data)
    assert isinstance(found, Malformed)
    assert found.reason is problem


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [frame(b"short", 0)],
        [frame(A, 65536)],
        [frame(A, 0, bytes(MAX_FRAME_DATA + 1))],
    ],
)
def test_frames_that_nobody_could_read_are_not_written(wrong: list[Frame]) -> None:
    with pytest.raises(ValueError):
        encode_frames(wrong)


def test_frames_of_one_channel_in_sequence_are_kept() -> None:
    given_frames = [frame(A, 3), frame(A, 4), frame(A, 5, last=True), frame(B, 0), frame(B, 1)]
    assert in_strict_order(given_frames) == (given_frames, [])


def test_a_first_frame_takes_the_open_channel_before_it_away() -> None:
    first, second, other = frame(A, 0), frame(A, 1), frame(B, 0)
    kept, dropped = in_strict_order([first, second, other])
    assert kept == [other]
    assert dropped == [(second, FrameOrderProblem.INTERRUPTED), (first, FrameOrderProblem.INTERRUPTED)]


def test_a_channel_that_is_closed_survives_the_next_one() -> None:
    given_frames = [frame(A, 0, last=True), frame(B, 0)]
    assert in_strict_order(given_frames)[0] == given_frames


def test_a_channel_cannot_start_again_behind_its_last_frame() -> None:
    again = frame(A, 0)
    assert in_strict_order([frame(A, 0, last=True), again])[1] == [(again, FrameOrderProblem.AFTER_LAST)]


def test_frame_numbers_wrap_around() -> None:
    given_frames = [frame(A, 65535), frame(A, 0), frame(A, 1)]
    assert in_strict_order(given_frames) == (given_frames, [])


def test_a_gap_and_a_foreign_later_frame_are_dropped() -> None:
    gap, foreign = frame(A, 2), frame(B, 1)
    assert in_strict_order([frame(A, 0), gap, foreign])[1] == [
        (gap, FrameOrderProblem.NOT_NEXT),
        (foreign, FrameOrderProblem.NO_FIRST),
    ]


@given(frames)
def test_what_strict_order_keeps_is_in_strict_order(given_frames: list[Frame]) -> None:
    kept, dropped = in_strict_order(given_frames)
    assert in_strict_order(kept) == (kept, [])
    assert len(kept) + len(dropped) == len(given_frames)
