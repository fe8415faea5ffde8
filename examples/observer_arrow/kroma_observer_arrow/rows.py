"""The two tables, and what each event is in them: `blocks` has the L2 blocks that became safe, `events` all else.

Words that come again and again are plain strings: Parquet keeps a dictionary by itself, and an Arrow file can have only
one for all of its batches.
"""

from __future__ import annotations

import enum
import json
from typing import Any, Final

import attrs
import pyarrow as pa

from kroma_core.events import BlockDerived, Event, HeadsMoved, L1Traversed, Verdict
from kroma_core.types import BlockId, L1Ref

_TIME: Final = pa.timestamp("us", tz="UTC")
_SECONDS: Final = pa.timestamp("s", tz="UTC")

SCHEMAS: Final = {
    "blocks": pa.schema(
        [
            pa.field("told", _TIME, nullable=False),
            pa.field("number", pa.uint64(), nullable=False),
            pa.field("hash", pa.string(), nullable=False),
            pa.field("parent_hash", pa.string(), nullable=False),
            pa.field("time", _SECONDS, nullable=False),
            pa.field("l1_origin", pa.uint64(), nullable=False),
            pa.field("sequence_number", pa.uint64(), nullable=False),
            pa.field("derived_from", pa.uint64(), nullable=False),
            pa.field("batch", pa.string(), nullable=False),
            pa.field("channel", pa.string()),
            pa.field("transactions", pa.uint32(), nullable=False),
            pa.field("gas_used", pa.uint64(), nullable=False),
            pa.field("consolidated", pa.bool_(), nullable=False),
        ]
    ),
    "events": pa.schema(
        [
            pa.field("told", _TIME, nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("subject", pa.string()),
            pa.field("name", pa.string()),
            pa.field("outcome", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("rule", pa.string()),
            pa.field("l1_number", pa.uint64()),
            pa.field("details", pa.string(), nullable=False),
        ]
    ),
}

Row = dict[str, Any]


def row_of(told: float, event: Event) -> tuple[str, Row]:
    """The table that an event belongs to, and its row there. Kinds of events that come later are `events`."""
    microseconds = int(told * 1_000_000)
    if isinstance(event, BlockDerived):
        block = event.block
        return "blocks", {
            "told": microseconds,
            "number": block.number,
            "hash": _hex(block.hash),
            "parent_hash": _hex(block.parent_hash),
            "time": min(block.timestamp, (1 << 63) - 1),
            "l1_origin": block.l1_origin.number,
            "sequence_number": block.sequence_number,
            "derived_from": event.derived_from.number,
            "batch": event.batch,
            "channel": None if event.place is None else event.place.channel_id.hex(),
            "transactions": event.transactions,
            "gas_used": event.gas_used,
            "consolidated": event.consolidated,
        }
    row: Row = {"told": microseconds, "kind": type(event).__name__, "l1_number": _l1_number(event)}
    if isinstance(event, Verdict):
        row |= {
            "subject": event.subject.value,
            "name": event.name,
            "outcome": event.outcome.value,
            "reason": event.reason.value,
            "rule": event.rule,
            "details": json.dumps({name: _plain(value) for name, value in event.numbers}),
        }
        return "events", row
    plain = _plain(event)
    row["details"] = json.dumps(plain if isinstance(plain, dict) else {"value": plain})
    return "events", row


def dropped(told: float, count: int) -> tuple[str, Row]:
    """The row that says how many events are missing before it."""
    row = {"told": int(told * 1_000_000), "kind": "Dropped", "details": json.dumps({"count": count})}
    return "events", row


def _l1_number(event: Event) -> int | None:
    if isinstance(event, HeadsMoved):
        return event.derived_l1.number
    if isinstance(event, L1Traversed):
        return event.block.number
    origin = getattr(event, "origin", None)
    return origin.number if isinstance(origin, BlockId | L1Ref) else None


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _plain(value: Any) -> Any:
    """A value of an event as JSON has it: bytes in hex, enumerations by value."""
    match value:
        case bytes():
            return _hex(value)
        case enum.Enum():
            return _plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return repr(value)
