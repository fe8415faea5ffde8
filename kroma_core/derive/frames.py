"""Frames: the pieces of a channel as they travel in batcher transactions.

An input (one transaction's call data, or one blob's data) is a version byte and one or more frames. It counts as a
whole or not at all: one bad frame, or a byte too many, voids every frame of the input.
Spec: derivation.md, "Batch Submission Wire Format", "Frame Format".
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from typing import Final

import attrs

from kroma_core.derive.malformed import Malformed

FRAMES_VERSION: Final = 0
"""First byte of an input that holds frames. 1 announces an alternative-DA commitment; others have no meaning."""
CHANNEL_ID_SIZE: Final = 16
MAX_FRAME_NUMBER: Final = 2**16 - 1
MAX_FRAME_DATA: Final = 1_000_000
FRAME_ENVELOPE: Final = 23
"""Bytes of a frame besides its data: channel id, number, length, last flag."""

_HEAD = struct.Struct(">16sHI")
_FLAGS = (b"\x00", b"\x01")


class FrameProblem(enum.StrEnum):
    """Why an input has no frames."""

    EMPTY = "the input is empty"
    UNKNOWN_VERSION = "the version byte does not announce frames"
    NO_FRAMES = "no frame follows the version byte"
    CUT_SHORT = "a frame is cut short"
    TOO_LONG = "a frame announces more data than a frame may hold"
    BAD_LAST_FLAG = "a frame's last flag is neither 0 nor 1"


FRAMES_RULE: Final = 'derivation.md, "Batch Submission Wire Format"'


@attrs.frozen(kw_only=True)
class Frame:
    """One piece of a channel. Frames of a channel are numbered from 0; the one that `is_last` closes it."""

    channel_id: bytes
    number: int
    data: bytes = attrs.field(repr=False)
    is_last: bool

    @property
    def name(self) -> str:
        return f"{self.channel_id.hex()}/{self.number}"


def decode_frames(data: bytes) -> tuple[Frame, ...] | Malformed:
    """The frames of one input, in order."""
    size = len(data)
    if not size:
        return Malformed(FrameProblem.EMPTY)
    if data[0] != FRAMES_VERSION:
        return Malformed(FrameProblem.UNKNOWN_VERSION)
    if size == 1:
        return Malformed(FrameProblem.NO_FRAMES, 1)
    frames: list[Frame] = []
    pos = 1
    while pos < size:
        start = pos + _HEAD.size
        if start > size:
            return Malformed(FrameProblem.CUT_SHORT, pos)
        channel_id, number, length = _HEAD.unpack_from(data, pos)
        if length > MAX_FRAME_DATA:
            return Malformed(FrameProblem.TOO_LONG, pos)
        end = start + length
        if end >= size:
            return Malformed(FrameProblem.CUT_SHORT, pos)
        flag = data[end]
        if flag > 1:
            return Malformed(FrameProblem.BAD_LAST_FLAG, end)
        frames.append(Frame(channel_id=channel_id, number=number, data=data[start:end], is_last=flag == 1))
        pos = end + 1
    return tuple(frames)


def encode_frames(frames: Iterable[Frame]) -> bytes:
    """An input that holds `frames`. Raises `ValueError` for a frame that no decoder would accept, or for none."""
    parts = [bytes((FRAMES_VERSION,))]
    for frame in frames:
        if len(frame.channel_id) != CHANNEL_ID_SIZE:
            raise ValueError(f"channel id of {len(frame.channel_id)} bytes, expected {CHANNEL_ID_SIZE}")
        if not 0 <= frame.number <= MAX_FRAME_NUMBER:
            raise ValueError(f"frame number {frame.number} is not in 0..{MAX_FRAME_NUMBER}")
        if len(frame.data) > MAX_FRAME_DATA:
            raise ValueError(f"frame {frame.name} has {len(frame.data)} bytes, at most {MAX_FRAME_DATA} are allowed")
        parts += (_HEAD.pack(frame.channel_id, frame.number, len(frame.data)), frame.data, _FLAGS[frame.is_last])
    if len(parts) == 1:
        raise ValueError("an input needs at least one frame")
    return b"".join(parts)
