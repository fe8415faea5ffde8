"""Which frames of an input enter the channel stage when order is strict.

Before strict order every frame goes on. From then on the frames of one input must form, channel after channel, unbroken
sequences: a frame that does not continue its channel is dropped, and a channel that another one interrupts before its
last frame is dropped as far as it stands in the same input. Frames already handed on are out of reach; the channel
assembler judges those that follow them.
Spec: holocene/derivation.md, "Frame Queue".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from kroma_core.derive.frames import MAX_FRAME_NUMBER, Frame


class FrameOrderProblem(enum.StrEnum):
    """Why strict order drops a frame."""

    AFTER_LAST = "the channel is already closed in this input"
    NOT_NEXT = "not the number that continues the channel"
    NO_FIRST = "starts a channel in the middle"
    INTERRUPTED = "another channel begins before this one is closed"


FRAME_QUEUE_RULE: Final = 'holocene/derivation.md, "Frame Queue"'


def in_strict_order(frames: Sequence[Frame]) -> tuple[list[Frame], list[tuple[Frame, FrameOrderProblem]]]:
    """The frames of one input that remain, and those that are dropped with the reason.

    The first frame is not judged by itself: it may continue a channel that an earlier input began.
    """
    kept: list[Frame] = []
    dropped: list[tuple[Frame, FrameOrderProblem]] = []
    for frame in frames:
        problem = _append(kept, frame, dropped)
        if problem is not None:
            dropped.append((frame, problem))
    return kept, dropped


def _append(
    kept: list[Frame], frame: Frame, dropped: list[tuple[Frame, FrameOrderProblem]]
) -> FrameOrderProblem | None:
    """Put `frame` behind `kept`, or say why it is dropped; removes the open channels that it interrupts."""
    while kept:
        before = kept[-1]
        if frame.channel_id == before.channel_id:
            if before.is_last:
                return FrameOrderProblem.AFTER_LAST
            if frame.number != (before.number + 1) % (MAX_FRAME_NUMBER + 1):  # 16 bits: 0 follows the last number
                return FrameOrderProblem.NOT_NEXT
            break
        if frame.number != 0:
            return FrameOrderProblem.NO_FIRST
        if before.is_last:
            break
        dropped.append((kept.pop(), FrameOrderProblem.INTERRUPTED))
    kept.append(frame)
    return None
