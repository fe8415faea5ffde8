"""Answers of eth_getProof in both eras, as kroma-node's verification of them has it."""

from __future__ import annotations

from typing import Any

from kroma_core.errors import DecodeError
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.zktrie.accounts import Account
from kroma_core.zktrie.proof import is_zk_proof
from tests.vectors.unit_files import hex_bytes, unit_cases

NOTHING = Account(code_hash=bytes(32))
"""What kroma-geth answers for an account that is not there, in both eras."""


@unit_cases("kroma-units/eth_get_proof")
def test_account_and_storage_proofs_hold_or_not_as_for_the_client(
    case: dict[str, Any], unit_file: dict[str, Any]
) -> None:
    result = case["result"]
    nodes = [hex_bytes(text) for text in result["accountProof"]]
    claimed = Account(
        nonce=int(result["nonce"], 16),
        balance=int(result["balance"], 16),
        code_hash=hex_bytes(result["codeHash"]),
        storage_root=hex_bytes(result["storageHash"]),
    )
    try:
        found = proven_account(hex_bytes(case["state_root"]), hex_bytes(result["address"]), nodes)
    except DecodeError:
        assert "account_error" in case
        assert "mutation" in case
        return
    assert (found == claimed) == case.get("account_valid", False)
    if "mutation" in case:
        return
    assert is_zk_proof(nodes) == (case["era"] == "zk")
    assert (found is None) == (claimed == NOTHING)
    for entry in result.get("storageProof", []):
        proof = [hex_bytes(text) for text in entry["proof"]]
        slot = hex_bytes(entry["key"]).rjust(32, b"\0")
        assert proven_word(claimed.storage_root, slot, proof) == int(entry["value"], 16)
