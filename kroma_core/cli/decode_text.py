"""Decoded batcher data as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from kroma_core.cli.decoded import DecodedBatch, DecodedChannel, DecodedInput, OpenChannel
from kroma_core.cli.event_text import event_fields, explain
from kroma_core.cli.inbox_account import BlockAccount, InboxEntry
from kroma_core.types import BlockId


def account_text(account: BlockAccount, *, blocks: bool) -> str:
    """An L1 block, its transactions, channels and drops."""
    lines = [f"L1 block {account.l1}"]
    if account.restarted is not None:
        lines.append(f"  derivation begins: {account.restarted}")
    for _, entry in sorted(account.transactions.items()):
        lines += _entry_lines(entry)
    for channel in account.channels:
        lines += _channel_lines(channel)
    for drop in account.dropped:
        block = f" (L2 block {drop.l2_block})" if drop.l2_block is not None else ""
        lines.append(f"  dropped {drop.verdict.subject} {drop.verdict.name}{block}: {explain(drop.verdict)}")
    if account.blocks:
        first, last = account.blocks[0].block.number, account.blocks[-1].block.number
        lines.append(f"  derived L2 blocks {first} to {last}")
    if blocks:
        lines += [
            f"    L2 block {safe.block}: {safe.batch}, {safe.transactions} transactions" for safe in account.blocks
        ]
    return "\n".join(lines)


def account_json(account: BlockAccount) -> dict[str, Any]:
    return {
        "l1_block": _block(account.l1),
        "restarted": account.restarted,
        "transactions": [
            {"index": index, **attrs.asdict(entry)} for index, entry in sorted(account.transactions.items())
        ],
        "channels": [attrs.asdict(channel) for channel in account.channels],
        "dropped": [{**event_fields(drop.verdict), "l2_block": drop.l2_block} for drop in account.dropped],
        "l2_blocks": [
            {**_block(safe.block), "batch": safe.batch, "transactions": safe.transactions} for safe in account.blocks
        ],
    }


def static_text(
    inputs: Sequence[tuple[str, DecodedInput]], channels: Sequence[DecodedChannel], incomplete: Sequence[OpenChannel]
) -> str:
    """Inputs and the channels that they make up, without an L1 around them."""
    lines: list[str] = []
    for name, shown in inputs:
        lines += [name, *_input_lines(shown)]
    for channel in channels:
        lines += _channel_lines(channel)
    for part in incomplete:
        lines.append(f"  channel {part.id}: not complete, {part.frames} frames of {part.size} bytes so far")
    return "\n".join(lines)


def static_json(
    inputs: Sequence[tuple[str, DecodedInput]], channels: Sequence[DecodedChannel], incomplete: Sequence[OpenChannel]
) -> dict[str, Any]:
    return {
        "inputs": [{"name": name, **attrs.asdict(shown)} for name, shown in inputs],
        "channels": [attrs.asdict(channel) for channel in channels],
        "incomplete": [attrs.asdict(part) for part in incomplete],
    }


def total_text(totals: Mapping[str, int]) -> str:
    """The sums over a whole recording."""
    compressed, decompressed = totals["compressed"], totals["decompressed"]
    ratio = f" ({decompressed / compressed:.2f} times)" if compressed else ""
    return (
        f"in all: {totals['transactions']} transactions, {totals['frames']} frames, {totals['channels']} channels of "
        f"{compressed} bytes holding {decompressed}{ratio}, {totals['batches']} batches, {totals['blocks']} L2 blocks, "
        f"{totals['dropped']} dropped"
    )


def _entry_lines(entry: InboxEntry) -> Iterator[str]:
    kind = f"{entry.blobs} blobs" if entry.blobs else "call data"
    yield f"  transaction {entry.hash}: type {entry.type}, {kind}"
    if not entry.inputs:
        yield "    no data"
    for shown in entry.inputs:
        yield from _input_lines(shown)


def _input_lines(shown: DecodedInput) -> Iterator[str]:
    if shown.problem is not None:
        yield f"    {shown.size} bytes, ignored: {shown.problem}"
        return
    yield f"    {shown.size} bytes, {_count(len(shown.frames), 'frame')}"
    for frame in shown.frames:
        yield f"      {frame.channel}/{frame.number}: {frame.size} bytes{', last' if frame.is_last else ''}"


def _channel_lines(channel: DecodedChannel) -> Iterator[str]:
    opened = f"opened in L1 block {channel.opened_in_l1}, " if channel.opened_in_l1 is not None else ""
    yield (
        f"  channel {channel.id}: {opened}{_count(channel.frames, 'frame')}, {channel.compression or 'unreadable'}, "
        f"{channel.compressed} -> {channel.decompressed} bytes ({channel.ratio:.2f} times), "
        f"{_count(len(channel.batches), 'batch', 'batches')}"
    )
    for batch in channel.batches:
        yield f"    {_batch_text(batch)}"
    if channel.problem is not None:
        yield f"    {channel.problem}"


def _batch_text(batch: DecodedBatch) -> str:
    if batch.first_block is None:
        where = f"time {batch.first_time}"
    elif batch.first_block == batch.last_block:
        where = f"L2 block {batch.first_block}"
    else:
        where = f"L2 blocks {batch.first_block} to {batch.last_block}"
    epochs = (
        f"{batch.first_epoch}"
        if batch.first_epoch == batch.last_epoch
        else f"{batch.first_epoch} to {batch.last_epoch}"
    )
    return (
        f"{batch.kind} batch: {_count(batch.blocks, 'block')}, {where}, L1 origin {epochs}, "
        f"{_count(batch.transactions, 'transaction')} of {batch.transaction_bytes} bytes"
    )


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _block(block: BlockId) -> dict[str, Any]:
    return {"number": block.number, "hash": "0x" + block.hash.hex()}
