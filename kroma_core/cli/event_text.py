"""Events as an operator or a program reads them: one line of text, or one flat JSON object."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from kroma_core.events import (
    BlockDerived,
    ChannelRead,
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    FramesRead,
    HeadsMoved,
    InboxRead,
    L1HeadsChanged,
    L1Reorganised,
    L1Traversed,
    Noted,
    Outvoted,
    PartDetached,
    PipelineReset,
    RequestAnswered,
    RequestServed,
    Retrying,
    Searching,
    SourceDistrusted,
    StateMigrating,
    StoreSetAside,
    UnsafePayload,
    Verdict,
    Warned,
)
from kroma_core.types import BlockId

_HASH: Final = re.compile(r"[0-9a-f]{64}(?:/|\Z)")


def event_name(event: Event) -> str:
    """The event's class in snake case: `channel_read`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(event).__name__).strip("_")


def event_fields(event: Event) -> dict[str, Any]:
    """The fields as JSON values; a block is `{number, hash}`, bytes and hashes are 0x hex."""
    return {field.name: _plain(getattr(event, field.name)) for field in attrs.fields(type(event))}


def sentence(event: Event) -> str:
    """The event in words."""
    match event:
        case Verdict():
            where = f" in L1 block {event.origin.number}" if event.origin is not None else ""
            return f"{event.subject} {_prefixed(event.name)}{where}: {event.outcome}, {explain(event)}"
        case InboxRead():
            carried = f"{event.blobs} blobs, {event.inputs} inputs" if event.blobs else f"{event.inputs} inputs"
            return f"batcher transaction 0x{event.transaction.hex()} in L1 block {event.origin.number}: {carried}"
        case FramesRead():
            frames = ", ".join(f"{frame.channel_id.hex()}/{frame.number}" for frame in event.frames)
            return (
                f"input {_prefixed(event.input)} in L1 block {event.origin.number}: {event.size} bytes, frames {frames}"
            )
        case ChannelRead():
            return (
                f"channel {event.channel_id.hex()}: {event.frames} frames, {event.compression}, "
                f"{event.compressed} bytes, {event.decompressed} bytes read, {event.batches} batches"
            )
        case L1Traversed(block=block):
            return f"L1 block {block.id}"
        case BlockDerived():
            how = "confirmed" if event.consolidated else "executed"
            return (
                f"L2 block {event.block.id} {how}: {event.batch}, {event.transactions} transactions, "
                f"{event.gas_used} gas, from L1 block {event.derived_from.number}"
            )
        case HeadsMoved():
            return (
                f"safe {event.safe}, unsafe {event.unsafe.number}, finalized {event.finalized.number}, "
                f"derived up to L1 block {event.derived_l1.number}"
            )
        case PipelineReset():
            return f"derivation begins at L1 block {event.l1_start.number} above L2 block {event.safe}: {event.reason}"
        case Retrying():
            return f"{event.part}: {event.what}: {event.error} (attempt {event.attempt}, again in {event.delay:g} s)"
        case L1HeadsChanged(heads=heads):
            safe, finalized = (ref.number if ref is not None else "none" for ref in (heads.safe, heads.finalized))
            return f"L1 head {heads.unsafe.id}, safe {safe}, finalized {finalized}"
        case L1Reorganised():
            return f"L1 reorg, {event.depth} deep: {event.old} gives way to {event.new}"
        case UnsafePayload():
            return f"unsafe block {event.block} from {event.source}: {event.outcome}, {event.queued} in the queue"
        case RequestAnswered():
            many = f" x {event.count}" if event.count > 1 else ""
            return f"{event.part}: {event.method}{many} at {event.server}: {event.outcome} in {event.seconds:.3f} s"
        case RequestServed():
            broken = f": {event.error}" if event.error else ""
            return f"[{event.server}] {event.method}: {event.outcome} in {event.seconds:.3f} s{broken}"
        case SourceDistrusted():
            return f"{event.part}: {event.server} is asked last for {event.seconds:g} s: {event.reason}"
        case Searching():
            return f"{event.part}: {event.what}: at block {event.at}, at the latest until {event.towards}"
        case StateMigrating():
            done = "all of them" if event.complete else "going on"
            more = f" and {event.slots} slots of the next one" if event.slots else ""
            return (
                f"{event.part}: migrating the state after block {event.block}: {event.accounts} accounts{more}, {done}"
            )
        case StoreSetAside():
            return f"{event.store} begun anew: {event.reason}; the old file is {event.path}"
        case Warned():
            return f"{event.part}: {event.warning}"
        case Noted():
            return f"{event.part}: {event.text}"
        case PartDetached():
            return f"{event.part} failed and is no longer told: {event.error}"
        case FollowerAttached():
            return f"{event.part} follows: what the leading part does is compared with it"
        case FollowerDetached():
            after = f"again in {event.delay:g} s" if event.delay is not None else "until the node starts again"
            return f"{event.part} is no longer compared ({after}): {event.reason}"
        case FollowerBehind():
            given_up = f", {event.dropped} steps passed over" if event.dropped else ""
            return f"{event.part} is behind, at {event.at} with {event.waiting} waiting{given_up}: {event.reason}"
        case FollowerAgreed():
            return f"{event.part} agrees up to {event.at}: {event.compared} compared, {event.waiting} waiting"
        case Diverged():
            fields = "; ".join(event.fields) or "in more than a line can hold"
            return (
                f"divergence at {event.at}: {event.leader} and {event.part} differ in {fields}; {event.verdict}; "
                f"kroma divergence show {event.bundle}"
            )
        case Outvoted():
            return f"{event.part} is outvoted at {event.at}: {event.verdict}"


def explain(verdict: Verdict) -> str:
    """Why, by which rule, and the numbers that were compared."""
    numbers = ", ".join(f"{name} {_shown(value)}" for name, value in verdict.numbers)
    reason = verdict.reason.value
    return f"{reason}{f' ({numbers})' if numbers else ''} [{verdict.rule}]"


def logfmt(fields: dict[str, Any]) -> str:
    """`key=value` pairs; nested values are flattened with dots."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in _flat("", fields))


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return "0x" + value.hex()
        case enum.Enum():
            return value.value
        case str():
            return _prefixed(value)
        case BlockId(hash=block_hash, number=number):
            return {"number": number, "hash": "0x" + block_hash.hex()}
        case tuple() if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {name: _plain(item) for name, item in value}
        case tuple():
            return [_plain(item) for item in value]
        case _ if attrs.has(type(value)):
            return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
        case _:
            return value


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else _prefixed(str(value))


def _prefixed(name: str) -> str:
    """The name of a transaction, or of one of its inputs, with the 0x that other tools want before a hash."""
    return f"0x{name}" if _HASH.match(name) else name


def _flat(prefix: str, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        elif value is not None:
            yield f"{prefix}{key}", value


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    plain = text and all(c.isalnum() or c in "-_.:/+" for c in text)
    return text if plain else json.dumps(text)
