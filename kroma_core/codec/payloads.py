"""Executed blocks as the Engine API carries them: JSON both ways, and the header and hash that belong to them.

Spec: execution-apis, "engine"; exec-engine.md, "Engine API"; isthmus/exec-engine.md, "Header Validity Rules".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kroma_core.codec.attributes import attributes_from_json as attributes_from_json
from kroma_core.codec.attributes import attributes_to_json as attributes_to_json
from kroma_core.codec.attributes import payload_id as payload_id
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.headers import EMPTY_REQUESTS_HASH, Header
from kroma_core.codec.hexadecimal import data, data_list, fixed, quantity, to_data, to_quantity
from kroma_core.codec.transactions import decode_transaction
from kroma_core.codec.trie_root import ordered_root
from kroma_core.codec.withdrawals import withdrawals_from_json, withdrawals_root, withdrawals_to_json
from kroma_core.errors import DecodeError
from kroma_core.forks import Rules
from kroma_core.l2 import Payload
from kroma_core.types import Gas, Hash32, L2Number, Timestamp, Wei

MAX_EXTRA_DATA: Final = 32


def payload_from_json(found: Mapping[str, Any], parent_beacon_root: Hash32 | None = None) -> Payload:
    """A payload from the Engine API's object; `parent_beacon_root` stands beside it in its envelope or call.

    Absent and null are the same; unknown keys are ignored. Raises `DecodeError`.
    """
    extra_data = data(found.get("extraData"), "payload extraData")
    if len(extra_data) > MAX_EXTRA_DATA:
        raise DecodeError(f"payload extraData: expected at most {MAX_EXTRA_DATA} bytes, got {len(extra_data)}")
    withdrawals = found.get("withdrawals")
    withdrawals_root = found.get("withdrawalsRoot")
    return Payload(
        hash=fixed(found.get("blockHash"), 32, "payload blockHash"),
        parent_hash=fixed(found.get("parentHash"), 32, "payload parentHash"),
        number=L2Number(quantity(found.get("blockNumber"), "payload blockNumber")),
        timestamp=Timestamp(quantity(found.get("timestamp"), "payload timestamp")),
        fee_recipient=fixed(found.get("feeRecipient"), 20, "payload feeRecipient"),
        state_root=fixed(found.get("stateRoot"), 32, "payload stateRoot"),
        receipts_root=fixed(found.get("receiptsRoot"), 32, "payload receiptsRoot"),
        logs_bloom=fixed(found.get("logsBloom"), 256, "payload logsBloom"),
        prev_randao=fixed(found.get("prevRandao"), 32, "payload prevRandao"),
        gas_limit=Gas(quantity(found.get("gasLimit"), "payload gasLimit")),
        gas_used=Gas(quantity(found.get("gasUsed"), "payload gasUsed")),
        extra_data=extra_data,
        base_fee=Wei(quantity(found.get("baseFeePerGas"), "payload baseFeePerGas", 256)),
        transactions=data_list(found.get("transactions"), "payload transactions"),
        withdrawals=withdrawals is not None,
        withdrawal_list=withdrawals_from_json(withdrawals) if withdrawals else (),
        withdrawals_root=None if withdrawals_root is None else fixed(withdrawals_root, 32, "payload withdrawalsRoot"),
        blob_gas_used=_optional_quantity(found.get("blobGasUsed"), "payload blobGasUsed"),
        excess_blob_gas=_optional_quantity(found.get("excessBlobGas"), "payload excessBlobGas"),
        parent_beacon_root=parent_beacon_root,
    )


def payload_to_json(payload: Payload) -> dict[str, Any]:
    """The Engine API's object; without the parent beacon root, which stands beside it."""
    found: dict[str, Any] = {
        "parentHash": to_data(payload.parent_hash),
        "feeRecipient": to_data(payload.fee_recipient),
        "stateRoot": to_data(payload.state_root),
        "receiptsRoot": to_data(payload.receipts_root),
        "logsBloom": to_data(payload.logs_bloom),
        "prevRandao": to_data(payload.prev_randao),
        "blockNumber": to_quantity(payload.number),
        "gasLimit": to_quantity(payload.gas_limit),
        "gasUsed": to_quantity(payload.gas_used),
        "timestamp": to_quantity(payload.timestamp),
        "extraData": to_data(payload.extra_data),
        "baseFeePerGas": to_quantity(payload.base_fee),
        "blockHash": to_data(payload.hash),
        "transactions": [to_data(raw) for raw in payload.transactions],
    }
    if payload.withdrawals:
        found["withdrawals"] = withdrawals_to_json(payload.withdrawal_list)
    if payload.blob_gas_used is not None:
        found["blobGasUsed"] = to_quantity(payload.blob_gas_used)
    if payload.excess_blob_gas is not None:
        found["excessBlobGas"] = to_quantity(payload.excess_blob_gas)
    if payload.withdrawals_root is not None:
        found["withdrawalsRoot"] = to_data(payload.withdrawals_root)
    return found


def envelope_from_json(found: Mapping[str, Any]) -> Payload:
    """A payload from an envelope as `engine_getPayload` answers and op-node gossips it. Raises `DecodeError`."""
    inner = found.get("executionPayload")
    if not isinstance(inner, Mapping):
        raise DecodeError(f"envelope executionPayload: expected an object, got {type(inner).__name__}")
    root = found.get("parentBeaconBlockRoot")
    return payload_from_json(inner, None if root is None else fixed(root, 32, "envelope parentBeaconBlockRoot"))


def envelope_to_json(payload: Payload) -> dict[str, Any]:
    found: dict[str, Any] = {"executionPayload": payload_to_json(payload)}
    if payload.parent_beacon_root is not None:
        found["parentBeaconBlockRoot"] = to_data(payload.parent_beacon_root)
    return found


def header_of(payload: Payload) -> Header:
    """The header that a payload describes; its hash is to be compared with the payload's.

    A withdrawals root in the payload implies the requests hash of no requests. Transactions may be any bytes.
    """
    return _header(payload, None if payload.withdrawals_root is None else EMPTY_REQUESTS_HASH)


def block_hash_of(payload: Payload) -> Hash32:
    """The hash that the payload's own fields give."""
    return header_of(payload).hash


def header_of_call(payload: Payload, requests: Sequence[bytes] | None, rules: Rules) -> Header:
    """The header that the arguments of `engine_newPayload` describe, as an engine reads them.

    `requests` are the execution requests of the call, None where its version has none. Raises `DecodeError` where a
    transaction does not decode or the call has not the form that `rules` of the block's time demand.
    """
    for index, raw in enumerate(payload.transactions):
        try:
            if is_deposit(raw):
                decode_deposit(raw, legacy=rules.legacy_deposits)
            else:
                decode_transaction(raw)
        except DecodeError as error:
            raise DecodeError(f"payload transaction {index}: {error}") from error
    if len(payload.extra_data) > MAX_EXTRA_DATA:
        raise DecodeError(f"payload extraData: expected at most {MAX_EXTRA_DATA} bytes, got {len(payload.extra_data)}")
    if rules.withdrawals_root_is_storage_root:
        if payload.withdrawals_root is None:
            raise DecodeError("payload withdrawalsRoot: required since it is a storage root")
        if not payload.withdrawals or payload.withdrawal_list:
            raise DecodeError("payload withdrawals: expected an empty list beside a storage root")
        if requests is None or requests:
            raise DecodeError("execution requests: expected an empty list")
    return _header(payload, None if requests is None else requests_hash(requests))


def requests_hash(requests: Iterable[bytes]) -> Hash32:
    """Hash of execution requests, each its type byte and data; those without data do not count. Spec: EIP-7685."""
    hashes = [hashlib.sha256(request).digest() for request in requests if len(request) > 1]
    return hashlib.sha256(b"".join(hashes)).digest()


def payload_from_header(header: Header, block_hash: Hash32, transactions: Sequence[bytes]) -> Payload:
    """The payload of a block of this chain. Raises `DecodeError` for a header from before base fees."""
    if header.base_fee is None:
        raise DecodeError(f"header of block {header.number}: no base fee")
    storage_root = header.requests_hash is not None
    return Payload(
        hash=block_hash,
        parent_hash=header.parent_hash,
        number=L2Number(header.number),
        timestamp=Timestamp(header.timestamp),
        fee_recipient=header.coinbase,
        state_root=header.state_root,
        receipts_root=header.receipts_root,
        logs_bloom=header.bloom,
        prev_randao=header.mix_hash,
        gas_limit=Gas(header.gas_limit),
        gas_used=Gas(header.gas_used),
        extra_data=header.extra_data,
        base_fee=Wei(header.base_fee),
        transactions=tuple(transactions),
        withdrawals=header.withdrawals_root is not None,
        withdrawals_root=header.withdrawals_root if storage_root else None,
        blob_gas_used=header.blob_gas_used,
        excess_blob_gas=header.excess_blob_gas,
        parent_beacon_root=header.parent_beacon_root,
    )


def _header(payload: Payload, requests: Hash32 | None) -> Header:
    root = payload.withdrawals_root
    if root is None and payload.withdrawals:
        root = withdrawals_root(payload.withdrawal_list)
    return Header(
        parent_hash=payload.parent_hash,
        coinbase=payload.fee_recipient,
        state_root=payload.state_root,
        transactions_root=ordered_root(payload.transactions),
        receipts_root=payload.receipts_root,
        bloom=payload.logs_bloom,
        number=payload.number,
        gas_limit=payload.gas_limit,
        gas_used=payload.gas_used,
        timestamp=payload.timestamp,
        extra_data=payload.extra_data,
        mix_hash=payload.prev_randao,
        base_fee=payload.base_fee,
        withdrawals_root=root,
        blob_gas_used=payload.blob_gas_used,
        excess_blob_gas=payload.excess_blob_gas,
        parent_beacon_root=payload.parent_beacon_root,
        requests_hash=requests,
    )


def _optional_quantity(value: object, what: str) -> int | None:
    return None if value is None else quantity(value, what)
