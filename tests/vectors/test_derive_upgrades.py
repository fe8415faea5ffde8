"""The transactions of protocol upgrades of both families."""

from __future__ import annotations

from typing import Any

from kroma_core.chain.config import Family
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.upgrades import upgrade_of
from kroma_core.forks import Fork
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/upgrade_transactions")
def test_upgrade_transactions_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    name, _, chains = case["fork"].partition("-")
    upgrade = upgrade_of(Family.OP, Fork(name), 901)
    assert upgrade is not None
    transactions = [
        transaction
        for place, transaction in enumerate(upgrade.transactions)
        if chains == "multi-chain" or place not in upgrade.interop_only
    ]
    assert [transaction.encode() for transaction in transactions] == [hex_bytes(raw) for raw in case["expected"]["raw"]]
    assert [_fields(transaction) for transaction in transactions] == case["expected"]["fields"]
    assert upgrade.extra_gas == case["expected"]["upgrade_gas"]


@unit_cases("kroma-units/upgrade_transactions")
def test_kroma_upgrade_transactions_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    upgrade = upgrade_of(Family.KROMA, Fork(case["upgrade"]), case.get("l2_chain_id", 901))
    assert upgrade is not None
    assert upgrade.in_parent == (case["upgrade"] == "kroma_mpt")
    assert [
        {
            "op_raw": "0x" + transaction.encode().hex(),
            "kroma_raw": "0x" + transaction.encode_legacy().hex(),
            "kroma_hash": "0x" + keccak256(transaction.encode_legacy()).hex(),
        }
        for transaction in upgrade.transactions
    ] == [{key: entry[key] for key in ("op_raw", "kroma_raw", "kroma_hash")} for entry in case["txs"]]


def _fields(transaction: DepositTransaction) -> dict[str, Any]:
    return {
        "data_keccak256": "0x" + keccak256(transaction.data).hex(),
        "data_len": len(transaction.data),
        "from": "0x" + transaction.sender.hex(),
        "gas": transaction.gas,
        "hash": "0x" + keccak256(transaction.encode()).hex(),
        "is_system_tx": transaction.is_system,
        "mint": str(transaction.mint),
        "source_hash": "0x" + transaction.source_hash.hex(),
        "to": None if transaction.to is None else "0x" + transaction.to.hex(),
        "value": str(transaction.value),
    }
