"""The expected chain's JSON objects, which both formats share: one per block, per timeline step, per output."""

from __future__ import annotations

from typing import Any

from kroma_core.codec.payloads import attributes_from_json, attributes_to_json, payload_from_json, payload_to_json
from kroma_core.codec.receipts import DEPOSIT_TYPE, Receipt
from kroma_core.errors import DecodeError
from kroma_core.recording.json_fields import Fields
from kroma_core.recording.problems import refuse
from kroma_core.recording.values import ExpectedBlock, ExpectedOutput, SafeAfter
from kroma_core.types import BlockId, L1Number, L2Number, L2Ref, Timestamp

BATCH_KINDS = ("singular", "span", "empty", "deposits-only")


def expected_block(fields: Fields) -> ExpectedBlock:
    """One element of `expected.blocks`."""
    batch = fields.text("batch")
    if batch not in BATCH_KINDS:
        raise refuse(fields.file, fields.part, "batch", expected=f"one of {', '.join(BATCH_KINDS)}", got=batch)
    try:
        attributes = attributes_from_json(fields.under("attributes").object)
    except DecodeError as error:
        raise refuse(fields.file, fields.part, "attributes", expected="payload attributes", got=error) from error
    inner = fields.under("payload")
    beacon_root = inner.data("parentBeaconBlockRoot", 32) if "parentBeaconBlockRoot" in inner else None
    try:
        payload = payload_from_json(inner.object, beacon_root)
    except DecodeError as error:
        raise refuse(fields.file, fields.part, "payload", expected="an execution payload", got=error) from error
    written = fields.data_list("receipts")
    receipts = tuple([_root_form(raw, index, fields) for index, raw in enumerate(written)])
    network = fields.data_list("receipts_marshal_binary") if "receipts_marshal_binary" in fields else None
    return ExpectedBlock(
        number=L2Number(fields.number("number")),
        hash=fields.data("hash", 32),
        attributes=attributes,
        payload=payload,
        receipts=receipts,
        batch=batch,
        derived_from=fields.block_id("derived_from"),
        l1_origin=fields.block_id("l1_origin"),
        sequence_number=fields.number("sequence_number"),
        gas_used=fields.quantities("gas_used") if "gas_used" in fields else None,
        header=fields.data("header") if "header" in fields else None,
        network_receipts=written if network is None and written != receipts else network,
    )


def _root_form(raw: bytes, index: int, fields: Fields) -> bytes:
    """The receipt as it enters the receipts root: files may hold a deposit's nonce where the root's form lacks it."""
    if raw[:1] != bytes((DEPOSIT_TYPE,)):
        return raw
    try:
        return Receipt.decode(raw).encode()
    except DecodeError as error:
        raise refuse(fields.file, fields.part, f"receipts[{index}]", expected="a receipt", got=error) from error


def block_object(block: ExpectedBlock) -> dict[str, Any]:
    """The JSON object of an expected block."""
    payload = payload_to_json(block.payload)
    if block.payload.parent_beacon_root is not None:
        payload["parentBeaconBlockRoot"] = _hex(block.payload.parent_beacon_root)
    found: dict[str, Any] = {
        "number": block.number,
        "hash": _hex(block.hash),
        "l1_origin": _block_id(block.l1_origin),
        "sequence_number": block.sequence_number,
        "derived_from": _block_id(block.derived_from),
        "batch": block.batch,
        "attributes": attributes_to_json(block.attributes),
        "payload": payload,
        "receipts": [_hex(receipt) for receipt in block.receipts],
    }
    if block.gas_used is not None:
        found["gas_used"] = [hex(gas) for gas in block.gas_used]
    if block.header is not None:
        found["header"] = _hex(block.header)
    if block.network_receipts is not None:
        found["receipts_marshal_binary"] = [_hex(receipt) for receipt in block.network_receipts]
    return found


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _block_id(block: BlockId) -> dict[str, Any]:
    return {"hash": _hex(block.hash), "number": block.number}


def safe_after(fields: Fields) -> SafeAfter:
    """One element of `expected.safe_after`."""
    return SafeAfter(
        l1_head=fields.data("l1_head", 32),
        safe_l2=fields.block_id("safe_l2"),
        derived_l1=fields.block_id("derived_l1") if "derived_l1" in fields else None,
    )


def expected_output(fields: Fields) -> ExpectedOutput:
    """One element of `expected.outputs`: the answer of `optimism_outputAtBlock`, without the sync status."""
    return ExpectedOutput(
        number=L2Number(fields.number("number")),
        version=fields.data("version", 32),
        output_root=fields.data("outputRoot", 32),
        state_root=fields.data("stateRoot", 32),
        withdrawal_storage_root=fields.data("withdrawalStorageRoot", 32),
        block=_l2_ref(fields.under("blockRef")),
        next_block=_l2_ref(fields.under("nextBlockRef")) if "nextBlockRef" in fields else None,
    )


def _l2_ref(fields: Fields) -> L2Ref:
    origin = fields.under("l1origin")
    return L2Ref(
        hash=fields.data("hash", 32),
        number=L2Number(fields.number("number")),
        parent_hash=fields.data("parentHash", 32),
        timestamp=Timestamp(fields.number("timestamp")),
        l1_origin=BlockId(origin.data("hash", 32), L1Number(origin.number("number"))),
        sequence_number=fields.number("sequenceNumber"),
    )
