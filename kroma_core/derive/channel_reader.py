"""Reading a complete channel: inflate it, then take out batch after batch.

A channel is a sequence of RLP strings, one batch each. The first thing that is wrong ends it; the batches before stay
valid. Spec: derivation.md, "Channel Format".
"""

from __future__ import annotations

import enum
from typing import Final

from kroma_core.derive.batch_codec import decode_batch
from kroma_core.derive.batches import Batch
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.decompress import Inflated, StreamEnd, decompress
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.forks import Rules

_READ_BUFFER: Final = 4096

CHANNEL_RULE: Final = 'derivation.md, "Channel Format"'


class ChannelEnd(enum.StrEnum):
    """What ends a channel before its data does."""

    NOT_A_STRING = "a list stands where a batch is expected"
    NOT_CANONICAL = "the size of a batch is not in its shortest form"
    CUT_SHORT = "the channel ends inside a batch"
    BROKEN_STREAM = "the compressed stream breaks inside a batch"
    LIMIT = "the limit of what is read of a channel lies inside a batch"


_CUT = {
    StreamEnd.CLEAN: ChannelEnd.CUT_SHORT,
    StreamEnd.BROKEN: ChannelEnd.BROKEN_STREAM,
    StreamEnd.LIMIT: ChannelEnd.LIMIT,
}


class ChannelReader:
    """The batches of one channel, decoded one at a time."""

    def __init__(self, channel: RawChannel, inflated: Inflated, terms: SpanTerms) -> None:
        self.channel = channel
        self.inflated = inflated
        self.batches = 0
        """How many batches were found, unusable ones included."""
        self._terms = terms
        self._pos = 0

    def next(self) -> Batch | UnusableBatch | Malformed | None:
        """The next batch; `Malformed` if the channel ends because of an error, None at its regular end."""
        found = self._next_string()
        if not isinstance(found, bytes):
            return found
        batch = decode_batch(found, self._terms)
        if not isinstance(batch, Malformed):
            self.batches += 1
        return batch

    def _next_string(self) -> bytes | Malformed | None:
        data, pos = self.inflated.data, self._pos
        if pos == len(data):
            return None
        head = data[pos]
        if head < 0x80:
            self._pos = pos + 1
            return data[pos : pos + 1]
        if head >= 0xC0:
            return Malformed(ChannelEnd.NOT_A_STRING, pos)
        start, size = pos + 1, head - 0x80
        if head >= 0xB8:
            start = pos + head - 0xB6
            size = int.from_bytes(data[pos + 1 : start], "big")
        end = start + size
        if end > len(data):
            return Malformed(_CUT[self.inflated.end], pos)
        if (head >= 0xB8 and (size < 56 or not data[pos + 1])) or (head == 0x81 and data[start] < 0x80):
            return Malformed(ChannelEnd.NOT_CANONICAL, pos)
        self._pos = end
        if end == len(data) and self.inflated.portions and _meets_error(data, self.inflated.portions):
            return Malformed(ChannelEnd.BROKEN_STREAM, pos)
        return data[start:end]


def _meets_error(data: bytes, portions: tuple[int, ...]) -> bool:
    """Whether the last batch of a broken stream is lost although all of it came out.

    op-node reads a channel through a buffer of 4096 bytes, and what is larger around that buffer. Such a read can
    return the last bytes and the stream's error in one answer, and then the error counts (go-ethereum, rlp/decode.go,
    readFull). So the reads are replayed: `data` is all that came out, and the last batch ends with it.
    """
    ends = iter(portions)
    portion = next(ends)
    taken = buffered = pos = 0
    direct = False

    def take(wanted: int) -> int:
        nonlocal portion, taken
        while portion <= taken:
            portion = next(ends)
        got = min(wanted, portion - taken)
        taken += got
        return got

    while pos < len(data):
        head = data[pos]
        if head < 0xB8:
            header, size = 1, max(head - 0x80, 0)
        else:
            header = head - 0xB6
            size = int.from_bytes(data[pos + 1 : pos + header], "big")
        for needed, bypass in ((header, False), (size, True)):
            while needed:
                direct = bypass and not buffered and needed >= _READ_BUFFER
                if direct:
                    needed -= take(needed)
                    continue
                buffered = buffered or take(_READ_BUFFER)
                step = min(needed, buffered)
                needed -= step
                buffered -= step
        pos += header + size
    return direct


def open_channel(channel: RawChannel, rules: Rules, terms: SpanTerms) -> ChannelReader | Malformed:
    """Start to read a channel. `rules` are those of the L1 block at which it is read."""
    inflated = decompress(channel.data, limit=rules.rlp_bytes_per_channel, brotli_allowed=rules.brotli)
    if isinstance(inflated, Malformed):
        return inflated
    return ChannelReader(channel, inflated, terms)
