"""Transactions, receipts and blocks of JSON-RPC, against encodings made elsewhere; and what a server may get wrong."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.codec.rpc_blocks import header_from_json, receipt_from_json, transaction_from_json
from kroma_core.codec.transactions import Transaction, decode_transaction
from kroma_core.errors import DecodeError
from tests.codec.test_transactions import ALL, NAMES


def as_json(transaction: Transaction) -> dict[str, Any]:
    """The object a client answers with, written out field by field."""
    found: dict[str, Any] = {
        "type": hex(transaction.type),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "to": None if transaction.to is None else "0x" + transaction.to.hex(),
        "value": hex(transaction.value),
        "input": "0x" + transaction.data.hex(),
        "v": hex(transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
        "blockHash": None,
    }
    if transaction.type:
        found["chainId"] = hex(transaction.chain_id or 0)
        found["yParity"] = hex(transaction.v)
        found["accessList"] = [
            {"address": "0x" + address.hex(), "storageKeys": ["0x" + key.hex() for key in keys]}
            for address, keys in transaction.access_list
        ]
    found["gasPrice"] = hex(transaction.max_fee)
    if transaction.type >= 2:
        found["maxFeePerGas"] = hex(transaction.max_fee)
        found["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee)
    if transaction.type == 3:
        found["maxFeePerBlobGas"] = hex(transaction.max_fee_per_blob_gas or 0)
        found["blobVersionedHashes"] = ["0x" + one.hex() for one in transaction.blob_hashes]
    if transaction.type == 4:
        found["authorizationList"] = [
            {
                "chainId": hex(one.chain_id),
                "address": "0x" + one.address.hex(),
                "nonce": hex(one.nonce),
                "yParity": hex(one.y_parity),
                "r": hex(one.r),
                "s": hex(one.s),
            }
            for one in transaction.authorizations
        ]
    return found


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
def test_a_transaction_s_json_is_brought_back_into_its_encoding(raw: bytes) -> None:
    found = as_json(decode_transaction(raw))
    assert transaction_from_json(found) == raw
    assert transaction_from_json({**found, "r": "0x0" + found["r"][2:]}) == raw


@pytest.mark.parametrize("raw", ALL, ids=NAMES)
@pytest.mark.parametrize("value", [None, "0x", "5", "0x-1", "0x_1", "0xg", "0x" + "1" * 401, [], 7, {}])
def test_a_malformed_field_is_refused(raw: bytes, value: Any) -> None:
    found = as_json(decode_transaction(raw))
    for key in set(found) - {"blockHash", "gasPrice" if int(found["type"], 16) >= 2 else "blockHash"}:
        optional = (key in {"to", "yParity"} and value is None) or (key == "input" and value == "0x")
        optional = optional or (key == "v" and "yParity" in found) or (key == "type" and value == "0x0")
        if optional or (isinstance(found[key], list) and value == []):
            continue
        with pytest.raises(DecodeError):
            transaction_from_json({**found, key: value})


@pytest.mark.parametrize("value", [None, [], "0x", 5, {"type": "0x5"}, {"type": "0x7e"}, {}])
def test_what_is_no_object_of_its_kind_is_refused(value: Any) -> None:
    for function in (transaction_from_json, receipt_from_json):
        with pytest.raises(DecodeError):
            function(value)
    if isinstance(value, dict):
        with pytest.raises(DecodeError):
            header_from_json(value)
