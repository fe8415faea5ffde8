"""op-units frames, frame_queue: batcher data taken apart into frames, and what strict order leaves of them."""

from __future__ import annotations

from typing import Any

from kroma_core.derive.frame_queue import in_strict_order
from kroma_core.derive.frames import Frame, decode_frames, encode_frames
from kroma_core.derive.malformed import Malformed
from tests.vectors.client_json import any_bytes, chain_config, hex_bytes, same_bytes
from tests.vectors.unit_files import unit_cases


@unit_cases("op-units/frames")
def test_frames_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    data = any_bytes(case.get("data_pieces") or case["data"])
    frames = decode_frames(data)
    if "error" in case:
        assert isinstance(frames, Malformed), case["error"]
        return
    assert not isinstance(frames, Malformed), frames
    _assert_same(frames, case["expected"])
    assert encode_frames(frames) == data


@unit_cases("op-units/frame_queue")
def test_frame_queue_leaves_the_frames_that_the_client_leaves(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    schedule = chain_config(case["rollup_config"]).rollup.schedule
    found: list[tuple[int, Frame]] = []
    for block in case["l1_blocks"]:
        for data in block["data"] or ():
            frames = decode_frames(hex_bytes(data))
            if isinstance(frames, Malformed):
                continue
            kept = in_strict_order(frames)[0] if schedule.at(block["time"]).strict_order else frames
            found += [(block["number"], frame) for frame in kept]
    wanted = case["expected"] or []
    assert [number for number, _ in found] == [expected["at_l1"] for expected in wanted]
    _assert_same([frame for _, frame in found], wanted)


def _assert_same(frames: list[Frame] | tuple[Frame, ...], expected: list[dict[str, Any]]) -> None:
    assert len(frames) == len(expected)
    for frame, wanted in zip(frames, expected, strict=True):
        assert frame.channel_id == hex_bytes(wanted["id"])
        assert frame.number == wanted["frame_number"]
        assert frame.is_last == wanted["is_last"]
        assert same_bytes(frame.data, wanted["data"])
