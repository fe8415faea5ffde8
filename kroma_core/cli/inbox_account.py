"""What the batcher wrote into each L1 block of a recording and what became of it, as derivation reports it.

The data sources are listened to while a node derives; the verdicts are those of derivation itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from kroma_core.api import DataSource
from kroma_core.chain.config import ChainConfig
from kroma_core.cli.decoded import DecodedChannel, DecodedInput, Numbering, Reassembly, decode_channel, decode_input
from kroma_core.events import (
    BlockDerived,
    ChannelRead,
    Event,
    L1Traversed,
    Outcome,
    PipelineReset,
    Subject,
    Verdict,
)
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import BlockId, L1Ref


@attrs.frozen(kw_only=True)
class InboxEntry:
    """A transaction of the batcher."""

    hash: str
    type: int
    blobs: int
    inputs: tuple[DecodedInput, ...]


@attrs.frozen(kw_only=True)
class SafeBlock:
    """An L2 block that was derived while the L1 block was read."""

    block: BlockId
    batch: str
    transactions: int


@attrs.frozen(kw_only=True)
class DroppedInput:
    """What derivation dropped. `l2_block` is the block that a batch or attributes were for, where it is one."""

    verdict: Verdict
    l2_block: int | None


@attrs.define(kw_only=True)
class BlockAccount:
    """One L1 block. `restarted` says why derivation began anew with it, where it did."""

    l1: BlockId
    restarted: str | None = None
    transactions: dict[int, InboxEntry] = attrs.field(factory=dict)
    channels: list[DecodedChannel] = attrs.field(factory=list)
    dropped: list[DroppedInput] = attrs.field(factory=list)
    blocks: list[SafeBlock] = attrs.field(factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.transactions or self.channels or self.dropped or self.restarted)


class InboxAccounts:
    """An observer that keeps the account of the current L1 block, and hands it on when the next one begins."""

    def __init__(self, chain: ChainConfig, done: Callable[[BlockAccount], None]) -> None:
        self._schedule = chain.rollup.schedule
        self._numbering = Numbering.of(chain.rollup)
        self._done = done
        self._reassembly = Reassembly()
        self._current: BlockAccount | None = None
        self._origin: L1Ref | None = None
        self._restarted: str | None = None

    def on_event(self, event: Event) -> None:
        match event:
            case PipelineReset(reason=reason):
                self.finish()
                self._reassembly = Reassembly()
                self._restarted = reason
            case L1Traversed(block=block):
                self.finish()
                self._origin = block
                self._current = BlockAccount(l1=block.id, restarted=self._restarted)
                self._restarted = None
            case _:
                self._note(event)

    def heard(self, transaction: InboxTransaction, inputs: Sequence[bytes]) -> None:
        """A data source has read a transaction."""
        if self._current is None or self._origin is None:
            return
        decoded = []
        for data in inputs:
            shown, frames = decode_input(data)
            decoded.append(shown)
            self._reassembly.add(frames, self._origin.number)
        self._current.transactions[transaction.index] = InboxEntry(
            hash="0x" + transaction.hash.hex(),
            type=transaction.type,
            blobs=len(transaction.blob_hashes),
            inputs=tuple(decoded),
        )

    def finish(self) -> None:
        """Hand on the account of the current block."""
        if self._current is not None and not self._current.is_empty:
            self._done(self._current)
        self._current = None

    def _note(self, event: Event) -> None:
        if self._current is None:
            return
        match event:
            case ChannelRead():
                self._current.channels.append(self._channel(event))
            case Verdict(outcome=Outcome.DROPPED):
                self._current.dropped.append(DroppedInput(verdict=event, l2_block=self._l2_block(event)))
                if event.subject is Subject.CHANNEL:
                    self._reassembly.take(bytes.fromhex(event.name))
            case BlockDerived():
                self._current.blocks.append(
                    SafeBlock(block=event.block.id, batch=event.batch, transactions=event.transactions)
                )

    def _l2_block(self, verdict: Verdict) -> int | None:
        named_by_time = verdict.subject in (Subject.BATCH, Subject.SPAN_BATCH, Subject.ATTRIBUTES)
        if named_by_time and verdict.name.isdecimal():
            return self._numbering.block_at(int(verdict.name))
        return None

    def _channel(self, read: ChannelRead) -> DecodedChannel:
        assert self._origin is not None
        channel = self._reassembly.take(read.channel_id)
        if channel is not None and len(channel.data) == read.compressed:
            return decode_channel(channel, self._schedule.at(self._origin.timestamp), self._numbering)
        return DecodedChannel(
            id=read.channel_id.hex(),
            opened_in_l1=read.opened,
            frames=read.frames,
            compressed=read.compressed,
            decompressed=read.decompressed,
            ratio=round(read.decompressed / read.compressed, 2) if read.compressed else 0.0,
            compression=read.compression,
            batches=(),
            problem="its batches are not listed: hostile frames with the same numbers are in the way",
        )


@attrs.frozen
class ListeningSource:
    """A data source that tells what it reads."""

    source: DataSource
    accounts: InboxAccounts

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return self.source.claims(tx, rules)

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        answers = await self.source.read(block, txs)
        for transaction, inputs in zip(txs, answers, strict=False):
            self.accounts.heard(transaction, inputs)
        return answers
