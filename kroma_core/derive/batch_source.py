"""From batcher data to batches: the first half of derivation as one object that is pulled.

The order in which things are pulled is consensus. Frames enter the channel stage one at a time, with an attempt to read
a channel before each; a channel is drained, batch by batch, before the next frame is looked at. So the object does
nothing ahead of need: an input is taken apart when it is fed, and everything else happens in `next_batch`.

How it is driven, one L1 block after the other (the first one is given to the constructor):

    source.advance(block, rules)                # rules of the block's own time; not for the first block
    while True:
        while batch := source.next_batch():     # judge the batch before asking for the next one
            ...                                 # strict order and the batch is invalid: source.flush_channel()
        if no input of this block is left:      # inputs: data of the authorised transactions, in order
            break
        source.feed(next input)

`next_batch` is asked once before the first input of a block: what is already there may have become readable, or too
old, with the new block.

Spec: derivation.md, "Frame Queue", "Channel Bank", "Channel Reader (Batch Decoding)";
holocene/derivation.md, "Frame Queue", "Channel Bank".
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

from kroma_core.chain.config import RollupConfig
from kroma_core.derive.batches import Batch, SpanBatch
from kroma_core.derive.channel_assembler import ChannelAssembler
from kroma_core.derive.channel_bank import ChannelBank
from kroma_core.derive.channel_reader import CHANNEL_RULE, ChannelReader, open_channel
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.frame_queue import FRAME_QUEUE_RULE, in_strict_order
from kroma_core.derive.frames import FRAMES_RULE, Frame, decode_frames
from kroma_core.derive.malformed import Malformed
from kroma_core.derive.span_batch import SPAN_RULE, SpanTerms, UnusableBatch, UnusableReason
from kroma_core.events import BatchPlace, ChannelRead, FrameSeen, FramesRead, Number, Outcome, Subject, Verdict
from kroma_core.forks import Rules
from kroma_core.types import L1Ref


class BatchSource:
    """Turns batcher data of successive L1 blocks into batches, and reports what became of the rest.

    `report` receives a `FramesRead` for every input that has frames, a `Verdict` for everything that is dropped, and a
    `ChannelRead` for every channel that was read.
    Starting anew (a reset) is a new object at an L1 block early enough for every channel that may still count.
    """

    def __init__(
        self,
        config: RollupConfig,
        origin: L1Ref,
        rules: Rules,
        report: Callable[[Verdict | ChannelRead | FramesRead], None],
    ) -> None:
        self._terms = SpanTerms.of(config)
        self._channel_timeout = config.channel_timeout
        self._report = report
        self._origin = origin
        self._rules = rules
        self._inputs = 0
        self._place: BatchPlace | None = None
        self._frames: deque[Frame] = deque()
        self._reader: ChannelReader | None = None
        self._channels: ChannelBank | ChannelAssembler
        if rules.strict_order:
            self._channels = ChannelAssembler(self._channel_timeout, report)
        else:
            self._channels = ChannelBank(self._channel_timeout, report)

    @property
    def origin(self) -> L1Ref:
        """The L1 block whose inputs are being read."""
        return self._origin

    @property
    def place(self) -> BatchPlace | None:
        """Where the batch was read that `next_batch` returned last."""
        return self._place

    def advance(self, origin: L1Ref, rules: Rules, *, reorders: bool | None = None) -> None:
        """Go on to the next L1 block, after `next_batch` found nothing more in this one.

        With the first block of strict order, whatever the channel bank still holds is lost. `reorders` says whether
        this is that block (`Schedule.reorders`); without it, the rules do.
        """
        if self._frames or self._reader is not None:
            raise ValueError(f"L1 block {self._origin.id} has not been read to its end")
        if (rules.strict_order if reorders is None else reorders) and isinstance(self._channels, ChannelBank):
            self._channels.close(origin)
            self._channels = ChannelAssembler(self._channel_timeout, self._report)
        self._origin, self._rules, self._inputs = origin, rules, 0

    def feed(self, data: bytes, name: str = "") -> None:
        """Take one input of the current L1 block: the call data of a transaction, or the data of one of its blobs.

        Only when `next_batch` found nothing more to read. `name` identifies the input in verdicts; without it, its
        number in the block does.
        """
        name = name or f"{self._origin.number}#{self._inputs}"
        self._inputs += 1
        frames = decode_frames(data)
        if isinstance(frames, Malformed):
            self._drop(Subject.DATA, name, frames.reason, FRAMES_RULE, offset=frames.offset, size=len(data))
            return
        seen = tuple([FrameSeen(each.channel_id, each.number, len(each.data), each.is_last) for each in frames])
        self._report(FramesRead(input=name, size=len(data), frames=seen, origin=self._origin.id))
        if not self._rules.strict_order:
            self._frames += frames
        else:
            kept, dropped = in_strict_order(frames)
            self._frames += kept
            for frame, problem in dropped:
                self._drop(Subject.FRAME, frame.name, problem, FRAME_QUEUE_RULE, input=name)

    def next_batch(self) -> Batch | None:
        """The next batch that can be read; None if that takes another input or another L1 block."""
        while True:
            if self._reader is not None:
                batch = self._read(self._reader)
                if batch is not None:
                    return batch
            elif channel := self._channels.read(self._origin, self._rules):
                self._open(channel)
            elif self._frames:
                self._channels.ingest(self._frames.popleft(), self._origin, self._rules)
            else:
                return None

    def flush_channel(self) -> None:
        """Drop what is left of the channel being read, and the channel that is being put together.

        Strict order only: a batch that may not extend the chain voids what follows it in its channel.
        Spec: holocene/derivation.md, "Fast Channel Invalidation".
        """
        if self._reader is not None:
            self._finish(self._reader)
        if isinstance(self._channels, ChannelAssembler):
            self._channels.flush(self._origin)

    def _open(self, channel: RawChannel) -> None:
        reader = open_channel(channel, self._rules, self._terms)
        if isinstance(reader, Malformed):
            self._drop(Subject.CHANNEL, channel.id.hex(), reader.reason, CHANNEL_RULE, size=len(channel.data))
        else:
            self._reader = reader

    def _read(self, reader: ChannelReader) -> Batch | None:
        """One batch of the open channel; None if that was its end, or the batch is skipped."""
        batch = reader.next()
        if batch is None:
            self._finish(reader)
            return None
        if isinstance(batch, Malformed):
            name = reader.channel.id.hex()
            self._drop(Subject.CHANNEL, name, batch.reason, CHANNEL_RULE, batches=reader.batches, offset=batch.offset)
            self._finish(reader)
            return None
        self._place = place = BatchPlace(reader.channel.id, reader.batches - 1)
        if isinstance(batch, UnusableBatch):
            bad = batch.transaction
            numbers: dict[str, Number] = {} if bad is None else {"transaction": bad.index, "problem": bad.problem}
            self._drop(Subject.SPAN_BATCH, str(place), batch.reason, SPAN_RULE, place, **numbers)
            return None
        if isinstance(batch, SpanBatch) and not self._rules.span_batches:
            reason = UnusableReason.TOO_EARLY
            self._drop(Subject.SPAN_BATCH, str(place), reason, SPAN_RULE, place, time=self._origin.timestamp)
            return None
        return batch

    def _finish(self, reader: ChannelReader) -> None:
        self._reader = None
        channel, inflated = reader.channel, reader.inflated
        self._report(
            ChannelRead(
                channel_id=channel.id,
                frames=channel.frames,
                compressed=len(channel.data),
                decompressed=len(inflated.data),
                compression=inflated.compression,
                batches=reader.batches,
                opened=channel.opened_at,
                origin=self._origin.id,
            )
        )

    def _drop(
        self,
        subject: Subject,
        name: str,
        reason: enum.StrEnum,
        rule: str,
        place: BatchPlace | None = None,
        **numbers: Number,
    ) -> None:
        self._report(
            Verdict(
                subject=subject,
                name=name,
                outcome=Outcome.DROPPED,
                reason=reason,
                rule=rule,
                numbers=tuple(numbers.items()),
                origin=self._origin.id,
                place=place,
            )
        )
