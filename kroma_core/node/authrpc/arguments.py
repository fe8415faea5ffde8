"""What a call of the Engine API says, read from its parameters.

As geth reads them: absent and null fields are the same, unknown fields are ignored. What is not of its type raises
`DecodeError`, which a server answers with "invalid params".
Spec: execution-apis, "engine"; exec-engine.md, "Engine API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from kroma_core.codec.attributes import EngineAttributes
from kroma_core.codec.hexadecimal import data, data_list, fixed, quantity, shown
from kroma_core.codec.payloads import MAX_EXTRA_DATA, payload_from_json
from kroma_core.errors import DecodeError
from kroma_core.l2 import Payload
from kroma_core.types import Hash32

BLOOM_SIZE: Final = 256


class UnfitPayload(DecodeError):
    """A payload whose fields have the right types, and that can still be no block: a verdict, not a malformed call."""


@attrs.frozen(kw_only=True)
class ForkchoiceRequest:
    """The heads that a caller wants; 32 zero bytes stand for "none named"."""

    head: Hash32
    safe: Hash32
    finalized: Hash32


@attrs.frozen(kw_only=True)
class PayloadCall:
    """The arguments of `engine_newPayload`; None for what the version has not, or the caller left out."""

    payload: Payload
    versioned_hashes: tuple[Hash32, ...] | None = None
    requests: tuple[bytes, ...] | None = None


def forkchoice_request(value: Any) -> ForkchoiceRequest:
    found = json_object(value)
    return ForkchoiceRequest(
        head=fixed(found.get("headBlockHash"), 32, "headBlockHash"),
        safe=_hash_or_zero(found, "safeBlockHash"),
        finalized=_hash_or_zero(found, "finalizedBlockHash"),
    )


def engine_attributes(value: Any) -> EngineAttributes:
    return EngineAttributes.from_json(json_object(value))


def payload(value: Any) -> Payload:
    """Raises `UnfitPayload` where bytes of any number may stand and there are more, or fewer, than a header holds."""
    found = json_object(value)
    extra_data = data(found.get("extraData"), "payload extraData")
    bloom = data(found.get("logsBloom"), "payload logsBloom")
    if len(extra_data) > MAX_EXTRA_DATA:
        raise UnfitPayload(f"extraData: expected at most {MAX_EXTRA_DATA} bytes, got {len(extra_data)}")
    if len(bloom) != BLOOM_SIZE:
        raise UnfitPayload(f"logsBloom: expected {BLOOM_SIZE} bytes, got {len(bloom)}")
    return payload_from_json(found)


def payload_call(found: Any, hashes: Any = None, root: Any = None, requests: Any = None) -> PayloadCall:
    """The arguments of any version of `engine_newPayload`: each has those of the one before, and more."""
    versioned = None if hashes is None else block_hashes(hashes)
    parent_beacon_root = None if root is None else fixed(root, 32, "parent beacon block root")
    listed = None if requests is None else data_list(requests, "execution requests")
    return PayloadCall(
        payload=attrs.evolve(payload(found), parent_beacon_root=parent_beacon_root),
        versioned_hashes=versioned,
        requests=listed,
    )


def block_hash(value: Any) -> Hash32:
    return fixed(value, 32, "hash")


def block_hashes(value: Any) -> tuple[Hash32, ...]:
    if not isinstance(value, list):
        raise DecodeError(f"expected a list of hashes, got {shown(value)}")
    return tuple([fixed(item, 32, f"hash {index}") for index, item in enumerate(value)])


def payload_id(value: Any) -> bytes:
    return fixed(value, 8, "payload id")


def number(value: Any) -> int:
    return quantity(value, "number")


def json_object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DecodeError(f"expected an object, got {shown(value)}")
    return value


def _hash_or_zero(found: Mapping[str, Any], key: str) -> Hash32:
    return bytes(32) if found.get(key) is None else fixed(found[key], 32, key)
