"""A channel: frames that arrive over several L1 blocks and together are one compressed stream of batches.

Spec: derivation.md, "Channel Format", "Channel Bank"; holocene/derivation.md, "Channel Bank".
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from kroma_core.derive.frames import Frame
from kroma_core.forks import Rules
from kroma_core.types import L1Number

FRAME_MEMORY: Final = 200
"""What a frame counts in a channel's size besides its data."""

_U64 = 2**64


class ChannelProblem(enum.StrEnum):
    """Why a channel does not take a frame, or is itself given up."""

    OTHER_CHANNEL = "the frame belongs to another channel"
    SECOND_LAST = "the channel already has a last frame"
    DUPLICATE = "the channel already has a frame of this number"
    BEYOND_LAST = "the number is not below that of the last frame"
    NOT_NEXT = "the number does not continue the channel"
    NO_CHANNEL = "no channel is open that the frame could continue"
    ABANDONED = "a first frame arrived before the channel was closed"
    TOO_LARGE = "the channel has outgrown the limit"
    TIMED_OUT = "the channel was not complete in time"
    BANK_FULL = "the channel bank has outgrown its limit, and this is its oldest channel"
    ORDER_BEGINS = "strict order begins, and takes up no channel from before"
    FLUSHED = "a batch before it was invalid"


@attrs.frozen(kw_only=True)
class RawChannel:
    """A complete channel: its frames' data joined, still compressed."""

    id: bytes
    data: bytes = attrs.field(repr=False)
    frames: int
    opened_at: L1Number


class Channel:
    """Collects the frames of one channel, in any order or (`in_order`) only in theirs.

    `opened_at` is the L1 block of the first frame that arrived, whatever its number.
    """

    __slots__ = ("_end", "_frames", "_highest", "_in_order", "id", "last_origin", "opened_at", "size")

    def __init__(self, id: bytes, opened_at: L1Number, *, in_order: bool) -> None:
        self.id = id
        self.opened_at = opened_at
        self.last_origin = L1Number(0)
        """The highest L1 block that brought a frame."""
        self.size = 0
        """Bytes as limits count them, modulo 2^64: data and `FRAME_MEMORY` of every frame."""
        self._in_order = in_order
        self._frames: dict[int, bytes] = {}
        self._highest = 0
        self._end: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the last frame and all before it are there."""
        return self._end is not None and len(self._frames) == self._end + 1

    def timed_out(self, origin: L1Number, timeout: int) -> bool:
        """Whether the channel may no longer be read: the last usable L1 block is `opened_at + timeout`."""
        return origin > self.opened_at + timeout

    def add(self, frame: Frame, origin: L1Number) -> ChannelProblem | None:
        """Take a frame that L1 block `origin` brought, or say why it is ignored."""
        problem = self._problem(frame)
        if problem is not None:
            return problem
        if frame.is_last:
            self._close(frame.number)
        self._highest = max(self._highest, frame.number)
        self.last_origin = max(self.last_origin, origin)
        self._frames[frame.number] = frame.data
        self.size = (self.size + len(frame.data) + FRAME_MEMORY) % _U64
        return None

    def content(self) -> RawChannel:
        """The channel as it is read; only once it is ready."""
        frames = self._frames
        data = b"".join([frames[number] for number in range(len(frames))])
        return RawChannel(id=self.id, data=data, frames=len(frames), opened_at=self.opened_at)

    def _problem(self, frame: Frame) -> ChannelProblem | None:
        if frame.channel_id != self.id:
            return ChannelProblem.OTHER_CHANNEL
        if self._end is not None and frame.is_last:
            return ChannelProblem.SECOND_LAST
        if frame.number in self._frames:
            return ChannelProblem.DUPLICATE
        if self._end is not None and frame.number >= self._end:
            return ChannelProblem.BEYOND_LAST
        if self._in_order and frame.number != len(self._frames):
            return ChannelProblem.NOT_NEXT
        return None

    def _close(self, end: int) -> None:
        """Fix the end and drop the frames above it.

        op-node takes the size of *every* frame off the channel's when it drops one, also of those it keeps
        (op-node, channel.go, AddFrame), so the size can fall below zero and wrap around. It decides what the channel
        bank prunes, so it is kept.
        """
        self._end = end
        if end >= self._highest:
            return
        self.size = (self.size - sum(len(data) + FRAME_MEMORY for data in self._frames.values())) % _U64
        self._frames = {number: data for number, data in self._frames.items() if number < end}
        self._highest = end


def channel_timeout(rules: Rules, configured: int) -> int:
    """L1 blocks after its opening block during which a channel may be read. Clock: the L1 block being read."""
    return configured if rules.fixed_channel_timeout is None else rules.fixed_channel_timeout
