"""Deposit transactions and source hashes of both families."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.codec.deposits import (
    DepositTransaction,
    decode_deposit,
    invalidated_block_source,
    l1_info_source,
    upgrade_source,
    user_deposit_source,
)
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rpc_blocks import transaction_from_json
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/deposit_tx")
def test_deposit_transactions(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    raw = hex_bytes(case["raw"])
    if "error" in case:
        with pytest.raises(DecodeError):
            decode_deposit(raw)
        return
    expected = case["expected"]
    deposit = decode_deposit(raw)
    assert deposit == DepositTransaction(
        source_hash=hex_bytes(expected["source_hash"]),
        sender=hex_bytes(expected["from"]),
        to=None if expected["to"] is None else hex_bytes(expected["to"]),
        mint=int(expected["mint"] or 0),
        value=int(expected["value"]),
        gas=int(expected["gas"]),
        is_system=expected["is_system_tx"],
        data=hex_bytes(expected["data"]),
    )
    assert deposit.encode() == hex_bytes(expected["reencoded"])
    assert keccak256(deposit.encode()) == hex_bytes(expected["hash"])
    assert transaction_from_json(expected["json"]) == raw


@unit_cases("kroma-units/deposit_txs")
def test_deposits_of_eight_and_seven_fields(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    deposit = DepositTransaction(
        source_hash=hex_bytes(case["sourceHash"]),
        sender=hex_bytes(case["from"]),
        to=None if case["to"] is None else hex_bytes(case["to"]),
        mint=int(case.get("mint") or "0x0", 16),
        value=int(case["value"], 16),
        gas=int(case["gas"], 16),
        is_system=case["isSystemTx"],
        data=hex_bytes(case["data"]),
    )
    op_raw, kroma_raw = hex_bytes(case["op_raw"]), hex_bytes(case["kroma_raw"])
    assert deposit.encode() == op_raw
    assert deposit.encode_legacy() == kroma_raw
    assert decode_deposit(op_raw) == deposit
    assert decode_deposit(kroma_raw, legacy=True) == attrs.evolve(deposit, is_system=False)
    assert keccak256(op_raw) == hex_bytes(case["op_hash"])
    assert keccak256(kroma_raw) == hex_bytes(case["kroma_hash"])
    assert transaction_from_json(case["op_json"]) == op_raw
    assert transaction_from_json(case["kroma_json"]) == kroma_raw
    with pytest.raises(DecodeError):
        decode_deposit(op_raw, legacy=True)
    with pytest.raises(DecodeError):
        decode_deposit(kroma_raw)


@unit_cases("op-units/deposit_source")
def test_source_hashes(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    match case["kind"]:
        case "user":
            source = user_deposit_source(hex_bytes(case["l1_block_hash"]), case["log_index"])
        case "l1info":
            source = l1_info_source(hex_bytes(case["l1_block_hash"]), case["seq_number"])
        case "upgrade":
            source = upgrade_source(case["intent"])
        case "invalidated_block":
            source = invalidated_block_source(hex_bytes(case["output_root"]))
        case other:
            pytest.fail(f"unknown kind {other}")
    assert source == hex_bytes(case["expected"])


@unit_cases("kroma-units/source_hashes")
def test_kroma_source_hashes(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if "upgrade" in case:
        assert upgrade_source(case["intent"]) == hex_bytes(case["upgrade"])
    else:
        block = hex_bytes(case["l1_block_hash"])
        assert user_deposit_source(block, case["index"]) == hex_bytes(case["user"])
        assert l1_info_source(block, case["index"]) == hex_bytes(case["l1_info"])
