"""What beacon nodes and archives answer, as values. Nothing here is believed yet: `checking` compares it with hashes.

Spec: beacon-APIs, "getBlobs", "getBlobSidecars", "getGenesis", "getSpec".
"""

from __future__ import annotations

from typing import Any

import attrs

from kroma_core.codec.hexadecimal import data, fixed, shown
from kroma_core.codec.kzg import BLOB_SIZE, versioned_hash_of
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32

_RETENTION_KEYS = ("MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS", "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS")
"""Epochs for which a node serves what blobs are made of, the newer form first."""


@attrs.frozen(kw_only=True)
class FoundBlob:
    """A blob as it came, with commitment and proof where they came along."""

    blob: bytes = attrs.field(repr=False)
    commitment: bytes | None = attrs.field(default=None, repr=False)
    proof: bytes | None = attrs.field(default=None, repr=False)

    @property
    def claimed(self) -> Hash32 | None:
        """The versioned hash that its commitment stands for."""
        return None if self.commitment is None else versioned_hash_of(self.commitment)


@attrs.frozen(kw_only=True)
class SlotClock:
    """How a beacon chain counts time: slot 0 begins at `genesis_time` (seconds), a slot lasts `slot_ms`.

    `chain_id` is the L1's, where the node tells it.
    """

    genesis_time: int
    slot_ms: int
    chain_id: int | None = None

    def slot(self, time: int) -> int:
        """The slot whose block has this time. Raises `DecodeError` before the first."""
        if time < self.genesis_time:
            raise DecodeError(f"slot of time {time}: the beacon chain begins at {self.genesis_time}")
        return (time - self.genesis_time) * 1000 // self.slot_ms


def genesis_time(answer: Any) -> int:
    """`genesis_time` of `/eth/v1/beacon/genesis`. Raises `DecodeError`."""
    return _decimal(_under_data(answer), "genesis_time")


def slot_ms(answer: Any) -> int:
    """Milliseconds a slot, of `/eth/v1/config/spec`. Raises `DecodeError`."""
    spec = _under_data(answer)
    found = (
        _decimal(spec, "SLOT_DURATION_MS") if "SLOT_DURATION_MS" in spec else 1000 * _decimal(spec, "SECONDS_PER_SLOT")
    )
    if found == 0:
        raise DecodeError("length of a slot: expected more than 0, got 0")
    return found


def chain_id(answer: Any) -> int | None:
    """The L1's chain id of `/eth/v1/config/spec`, which not all nodes tell. Raises `DecodeError`."""
    spec = _under_data(answer)
    return _decimal(spec, "DEPOSIT_CHAIN_ID") if "DEPOSIT_CHAIN_ID" in spec else None


def retention(answer: Any) -> int | None:
    """Seconds for which every node has to keep blobs, of `/eth/v1/config/spec`. Raises `DecodeError`.

    None where the node does not tell.
    """
    spec = _under_data(answer)
    epochs = next((_decimal(spec, key) for key in _RETENTION_KEYS if key in spec), None)
    if epochs is None or "SLOTS_PER_EPOCH" not in spec:
        return None
    return epochs * _decimal(spec, "SLOTS_PER_EPOCH") * slot_ms(answer) // 1000


def head_slot(answer: Any) -> int:
    """`head_slot` of `/eth/v1/node/syncing`. Raises `DecodeError`."""
    return _decimal(_under_data(answer), "head_slot")


def blobs_in(value: Any) -> tuple[FoundBlob, ...]:
    """The blobs of a JSON answer, whichever of the known forms it has. Raises `DecodeError`.

    `{"data": [...]}` or a list, of blobs (`blobs`) or of objects with a blob and what belongs to it (`blob_sidecars`);
    one such object, or one blob, as archives answer by versioned hash.
    """
    match value:
        case {"data": list(items)} | list(items):
            return tuple([_found(item) for item in items])
        case {"data": dict(item)}:
            return (_found(item),)
        case _:
            return (_found(value),)


def raw_blob(body: bytes) -> FoundBlob:
    """A blob that is the whole body of an answer. Raises `DecodeError`."""
    if len(body) != BLOB_SIZE:
        raise DecodeError(f"blob: expected {BLOB_SIZE} bytes, got {len(body)}")
    return FoundBlob(blob=body)


def _found(item: Any) -> FoundBlob:
    if isinstance(item, str):
        return FoundBlob(blob=fixed(item, BLOB_SIZE, "blob"))
    if not isinstance(item, dict):
        raise DecodeError(f"blob: expected an object or hexadecimal text, got {shown(item)}")
    text = next((item[key] for key in ("blob", "data") if isinstance(item.get(key), str)), None)
    if text is None:
        raise DecodeError("blob: expected it under blob or data, got an object without")
    return FoundBlob(
        blob=fixed(text, BLOB_SIZE, "blob"),
        commitment=_point(item, "kzg_commitment", "commitment"),
        proof=_point(item, "kzg_proof", "proof"),
    )


def _point(item: dict[str, Any], *keys: str) -> bytes | None:
    for key in keys:
        value = item.get(key)
        if value is not None and value != "":
            point = data(value, key)
            if len(point) != 48:
                raise DecodeError(f"{key}: expected 48 bytes, got {len(point)}")
            return point
    return None


def _under_data(answer: Any) -> dict[str, Any]:
    found = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise DecodeError("expected an object with an object under data")
    return found


def _decimal(found: dict[str, Any], key: str) -> int:
    value = found.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return int(value)
    raise DecodeError(f"{key}: expected a decimal number in text, got {shown(value)}")
