"""What of an engine's divergence goes into a bundle, so that the question can be put again on another machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from kroma_core.api import ExecutionEngine
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.attributes import attributes_from_json, attributes_to_json
from kroma_core.codec.hexadecimal import fixed, to_data
from kroma_core.codec.payloads import envelope_from_json, envelope_to_json
from kroma_core.errors import DecodeError, NotFound
from kroma_core.l2 import ForkchoiceState, Payload
from kroma_core.node.shadow.engine_answer import Question
from kroma_core.types import Hash32

MOST_BLOCKS: Final = 2048
"""Blocks before the question that a bundle holds at most."""
MOST_BYTES: Final = 64 << 20
"""Bytes of transactions in them at most."""


@attrs.frozen(kw_only=True)
class EngineInputs:
    """The question, and the blocks before it: from genesis on, or where `base` is set, after that block.

    An engine that has the state after `base` can be asked; `base` None: any engine that has the chain's genesis.
    """

    question: Question
    before: tuple[Payload, ...] = attrs.field(repr=False)
    base: Hash32 | None


async def engine_inputs(leading: ExecutionEngine, question: Question, config: ChainConfig) -> dict[str, Any]:
    """The inputs as a bundle has them: the question, and as many blocks before it as fit, read from `leading`."""
    genesis = config.rollup.genesis.l2
    before: list[Payload] = []
    size, base = 0, question.parent
    try:
        while base != genesis.hash and len(before) < MOST_BLOCKS and size < MOST_BYTES:
            payload = await leading.block(base)
            before.append(payload)
            size += sum(map(len, payload.transactions))
            base = payload.parent_hash
    except NotFound:
        pass  # it has only the newest
    found: dict[str, Any] = {"parent": to_data(question.parent)}
    if question.attributes is not None:
        found["attributes"] = attributes_to_json(question.attributes)
    if question.payload is not None:
        found["payload"] = envelope_to_json(question.payload)
    if question.heads is not None:
        heads = question.heads
        found["heads"] = {
            "unsafe": to_data(heads.unsafe),
            "safe": to_data(heads.safe),
            "finalized": to_data(heads.finalized),
        }
    found["base"] = None if base == genesis.hash else to_data(base)
    found["before"] = [envelope_to_json(payload) for payload in reversed(before)]
    return found


def read_engine_inputs(inputs: Mapping[str, Any]) -> EngineInputs:
    """The inputs of a bundle. Raises `DecodeError`."""
    attributes, payload, base = inputs.get("attributes"), inputs.get("payload"), inputs.get("base")
    before = inputs.get("before")
    if not isinstance(before, list):
        raise DecodeError(f"inputs.before: expected a list, got {type(before).__name__}")
    return EngineInputs(
        question=Question(
            parent=fixed(inputs.get("parent"), 32, "inputs.parent"),
            attributes=None if attributes is None else attributes_from_json(_mapping(attributes, "attributes")),
            payload=None if payload is None else envelope_from_json(_mapping(payload, "payload")),
            heads=_heads(inputs.get("heads")),
        ),
        before=tuple(envelope_from_json(_mapping(each, f"before[{place}]")) for place, each in enumerate(before)),
        base=None if base is None else fixed(base, 32, "inputs.base"),
    )


def _heads(value: Any) -> ForkchoiceState | None:
    if value is None:
        return None
    found = _mapping(value, "heads")
    return ForkchoiceState(
        unsafe=fixed(found.get("unsafe"), 32, "inputs.heads.unsafe"),
        safe=fixed(found.get("safe"), 32, "inputs.heads.safe"),
        finalized=fixed(found.get("finalized"), 32, "inputs.heads.finalized"),
    )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DecodeError(f"inputs.{name}: expected an object, got {type(value).__name__}")
    return value
