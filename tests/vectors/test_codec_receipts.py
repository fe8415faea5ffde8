"""Receipts, their two encodings, and the roots of receipts and transactions."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt, bloom_of
from kroma_core.codec.rpc_blocks import header_from_json, receipt_from_json, transactions_from_json
from kroma_core.codec.transactions import DEPOSIT, decode_transaction
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import hex_bytes, unit_cases


def _receipt(found: dict[str, Any]) -> Receipt:
    return Receipt(
        type=found["type"],
        status=found["status"],
        cumulative_gas_used=found["cumulative_gas_used"],
        bloom=hex_bytes(found["logs_bloom"]),
        logs=tuple(
            Log(hex_bytes(log["address"]), tuple(map(hex_bytes, log["topics"])), hex_bytes(log["data"]))
            for log in found["logs"]
        ),
        deposit_nonce=found["deposit_nonce"],
        deposit_version=found["deposit_receipt_version"],
    )


@unit_cases("op-units/receipts")
def test_receipts(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if case["kind"] == "decode":
        raw = hex_bytes(case["raw"])
        if "error" in case:
            with pytest.raises(DecodeError):
                Receipt.decode(raw)
            return
        decoded = Receipt.decode(raw)
        assert decoded.encode_stored() == raw
        expected = _receipt(case["expected"])
        fields = ("type", "status", "cumulative_gas_used", "bloom", "logs", "deposit_nonce", "deposit_version")
        assert [getattr(decoded, field) for field in fields] == [getattr(expected, field) for field in fields]
        return
    expected = case["expected"]
    receipts = [_receipt(found) for found in case["receipts"]]
    assert [receipt.encode_stored() for receipt in receipts] == [hex_bytes(raw) for raw in expected["encodings"]]
    assert [receipt.encode() for receipt in receipts] == [hex_bytes(raw) for raw in expected["root_encodings"]]
    assert [Receipt.decode(hex_bytes(raw)) for raw in expected["encodings"]] == receipts
    assert [bloom_of(receipt.logs) for receipt in receipts] == [receipt.bloom for receipt in receipts]
    assert ordered_root([receipt.encode() for receipt in receipts]) == hex_bytes(expected["receipts_root"])
    assert ordered_root([hex_bytes(raw) for raw in case["transactions"]]) == hex_bytes(expected["transactions_root"])


@unit_cases("kroma-units/rpc_blocks")
def test_rpc_blocks(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    block = case["eth_getBlockByNumber"]
    header = header_from_json(block)
    assert header.hash == hex_bytes(block["hash"])
    assert Header.decode(header.encode()) == header
    transactions = transactions_from_json(block)
    assert [keccak256(raw) for raw in transactions] == [hex_bytes(found["hash"]) for found in block["transactions"]]
    assert ordered_root(transactions) == hex_bytes(block["transactionsRoot"])
    for raw, found in zip(transactions, block["transactions"], strict=True):
        if raw[0] != DEPOSIT:
            assert decode_transaction(raw).sender == hex_bytes(found["from"])
    receipts = [receipt_from_json(found) for found in case["eth_getBlockReceipts"]]
    assert ordered_root([receipt.encode() for receipt in receipts]) == hex_bytes(block["receiptsRoot"])
