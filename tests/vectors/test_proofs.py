"""Answers of `eth_getProof` as kroma-geth gave them, and whether op-service believed them."""

from __future__ import annotations

from typing import Any

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode_bytes, encode_int, encode_list
from kroma_core.codec.trie_proof import proven
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import hex_bytes, unit_cases


def account_of(found: dict[str, Any]) -> bytes:
    """The account as the state trie holds it, from what the answer says of it."""
    numbers = [encode_int(int(found[key], 16)) for key in ("nonce", "balance")]
    hashes = [encode_bytes(hex_bytes(found[key])) for key in ("storageHash", "codeHash")]
    return encode_list([*numbers, *hashes])


def holds(found: dict[str, Any], root: bytes) -> bool:
    """Whether the answer's account is the one that its proof leads to."""
    nodes = [hex_bytes(node) for node in found["accountProof"]]
    try:
        return proven(root, keccak256(hex_bytes(found["address"])), nodes) == account_of(found)
    except DecodeError:
        return False


@unit_cases("kroma-units/eth_get_proof")
def test_proofs_of_accounts_are_believed_as_by_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    found = case["result"]
    assert holds(found, hex_bytes(case["state_root"])) == ("account_error" not in case)
    for slot in found.get("storageProof", ()):
        nodes = [hex_bytes(node) for node in slot["proof"]]
        value = int(slot["value"], 16)
        if "account_error" not in case:
            expected = encode_int(value) if value else None
            assert proven(hex_bytes(found["storageHash"]), keccak256(hex_bytes(slot["key"])), nodes) == expected
