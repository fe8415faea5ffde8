"""Batcher data taken apart: inputs, frames, channels and batches, as values with their sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from kroma_core.chain.config import RollupConfig
from kroma_core.derive.batches import Batch, SpanBatch
from kroma_core.derive.channel_reader import open_channel
from kroma_core.derive.channels import Channel, RawChannel
from kroma_core.derive.frames import Frame, decode_frames
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SpanTerms, UnusableBatch
from kroma_core.forks import Rules
from kroma_core.types import L1Number


@attrs.frozen(kw_only=True)
class DecodedFrame:
    """A frame; `size` is that of its data."""

    channel: str
    number: int
    size: int
    is_last: bool


@attrs.frozen(kw_only=True)
class DecodedInput:
    """Call data of a transaction, or the data of a blob: frames, or what is wrong with it as a whole."""

    size: int
    frames: tuple[DecodedFrame, ...]
    problem: str | None = None


@attrs.frozen(kw_only=True)
class DecodedBatch:
    """A batch of a channel. L2 numbers are None where no chain is known, or the time is no block's."""

    kind: str
    first_block: int | None
    last_block: int | None
    first_time: int
    blocks: int
    transactions: int
    transaction_bytes: int
    first_epoch: int
    last_epoch: int


@attrs.frozen(kw_only=True)
class DecodedChannel:
    """A complete channel. `problem` says why it ends early, or cannot be opened at all (then it has no batches)."""

    id: str
    opened_in_l1: int | None
    frames: int
    compressed: int
    decompressed: int
    ratio: float
    compression: str | None
    batches: tuple[DecodedBatch, ...]
    problem: str | None = None


@attrs.frozen(kw_only=True)
class OpenChannel:
    """A channel of which frames are missing."""

    id: str
    frames: int
    size: int


@attrs.frozen(kw_only=True)
class Numbering:
    """What the contents of batches are read with, and how their times become L2 numbers."""

    terms: SpanTerms
    first_number: int | None = None

    @classmethod
    def of(cls, config: RollupConfig) -> Numbering:
        return cls(terms=SpanTerms.of(config), first_number=config.genesis.l2.number)

    def block_at(self, time: int) -> int | None:
        """The L2 number of the block at `time`, if a block can stand there."""
        since = time - self.terms.genesis_time
        if self.first_number is None or since < 0 or since % self.terms.block_time:
            return None
        return self.first_number + since // self.terms.block_time


def decode_input(data: bytes) -> tuple[DecodedInput, tuple[Frame, ...]]:
    """An input and its frames."""
    frames = decode_frames(data)
    if isinstance(frames, Malformed):
        return DecodedInput(size=len(data), frames=(), problem=f"{frames.reason.value} (byte {frames.offset})"), ()
    shown = tuple(
        DecodedFrame(channel=frame.channel_id.hex(), number=frame.number, size=len(frame.data), is_last=frame.is_last)
        for frame in frames
    )
    return DecodedInput(size=len(data), frames=shown), frames


def decode_channel(channel: RawChannel, rules: Rules, numbering: Numbering) -> DecodedChannel:
    """Everything that can be read of a complete channel under `rules`."""
    reader = open_channel(channel, rules, numbering.terms)
    if isinstance(reader, Malformed):
        return _channel(channel, 0, None, (), reader.reason.value)
    batches: list[DecodedBatch] = []
    problems: list[str] = []
    while (batch := reader.next()) is not None:
        if isinstance(batch, Malformed):
            problems.append(f"after {len(batches)} batches: {batch.reason.value} (byte {batch.offset})")
            break
        if isinstance(batch, UnusableBatch):
            problems.append(f"batch {len(batches)} is skipped: {batch.reason.value}")
        else:
            batches.append(_batch(batch, numbering))
    inflated = reader.inflated
    return _channel(channel, len(inflated.data), inflated.compression.value, batches, "; ".join(problems) or None)


def _channel(
    channel: RawChannel,
    decompressed: int,
    compression: str | None,
    batches: Sequence[DecodedBatch],
    problem: str | None,
) -> DecodedChannel:
    compressed = len(channel.data)
    return DecodedChannel(
        id=channel.id.hex(),
        opened_in_l1=channel.opened_at or None,
        frames=channel.frames,
        compressed=compressed,
        decompressed=decompressed,
        ratio=round(decompressed / compressed, 2) if compressed else 0.0,
        compression=compression,
        batches=tuple(batches),
        problem=problem,
    )


def _batch(batch: Batch, numbering: Numbering) -> DecodedBatch:
    blocks = batch.blocks if isinstance(batch, SpanBatch) else (batch,)
    transactions = [raw for block in blocks for raw in block.transactions]
    return DecodedBatch(
        kind="span" if isinstance(batch, SpanBatch) else "singular",
        first_block=numbering.block_at(blocks[0].timestamp),
        last_block=numbering.block_at(blocks[-1].timestamp),
        first_time=blocks[0].timestamp,
        blocks=len(blocks),
        transactions=len(transactions),
        transaction_bytes=sum(map(len, transactions)),
        first_epoch=blocks[0].epoch_number,
        last_epoch=blocks[-1].epoch_number,
    )


class Reassembly:
    """Puts frames together to channels as they come; what derivation thinks of each frame is not its business."""

    def __init__(self) -> None:
        self._channels: dict[bytes, Channel] = {}
        self._sizes: dict[bytes, list[int]] = {}

    def add(self, frames: Iterable[Frame], origin: L1Number) -> None:
        for frame in frames:
            channel = self._channels.get(frame.channel_id)
            if channel is None:
                channel = self._channels[frame.channel_id] = Channel(frame.channel_id, origin, in_order=False)
                self._sizes[frame.channel_id] = []
            if channel.add(frame, origin) is None:
                self._sizes[frame.channel_id].append(len(frame.data))

    def take(self, channel_id: bytes) -> RawChannel | None:
        """A channel out of the collection; None if it is not complete, or not there."""
        channel = self._channels.pop(channel_id, None)
        return channel.content() if channel is not None and channel.is_ready else None

    def take_complete(self) -> list[RawChannel]:
        """All complete channels out of the collection, in the order of their first frames."""
        ready = [channel for channel in self._channels.values() if channel.is_ready]
        return [self._channels.pop(channel.id).content() for channel in ready]

    def incomplete(self) -> tuple[OpenChannel, ...]:
        """The channels that still wait for frames."""
        return tuple(
            OpenChannel(id=id.hex(), frames=len(self._sizes[id]), size=sum(self._sizes[id]))
            for id, channel in self._channels.items()
            if not channel.is_ready
        )
