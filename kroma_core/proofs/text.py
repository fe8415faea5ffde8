"""Proofs as JSON: what a verifier needs, and all that follows from it, so that nobody has to compute to use them."""

from __future__ import annotations

from typing import Any, Final

from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.output import KromaOutput
from kroma_core.proofs.account import AccountStateProof
from kroma_core.proofs.portal import prove_call
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import ZERO_HASH

FORMAT: Final = "kroma-proof/1"
ZK_TRIE, MERKLE_PATRICIA = "zk-trie", "merkle-patricia"


def withdrawal_json(proof: WithdrawalProof, output_index: int | None = None) -> dict[str, Any]:
    """The file of a withdrawal proof. Raises `DecodeError` where the proof does not hold.

    With `output_index` it has the call data for the portal, too.
    """
    output, message = proof.verified(), proof.message
    following = to_data(output.next_block_hash) if isinstance(output, KromaOutput) else None
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": "withdrawal",
        "state": _state(proof.zk_trie),
        "block": _block(proof.header),
        "withdrawal": {
            "nonce": to_quantity(message.nonce),
            "sender": to_data(message.sender),
            "target": to_data(message.target),
            "value": to_quantity(message.value),
            "gasLimit": to_quantity(message.gas_limit),
            "data": to_data(message.data),
        },
        "withdrawalHash": to_data(message.hash),
        "slot": to_data(message.slot),
        "messagePasser": to_data(proof.message_passer),
        "output": {
            "version": to_data(ZERO_HASH),
            "stateRoot": to_data(output.state_root),
            "messagePasserStorageRoot": to_data(output.message_passer_storage_root),
            "blockHash": to_data(output.block_hash),
            "nextBlockHash": following,
            "preimage": to_data(output.encode()),
        },
        "outputRoot": to_data(output.root),
        "accountProof": [to_data(node) for node in proof.account_proof],
        "storageProof": [to_data(node) for node in proof.storage_proof],
    }
    if output_index is not None:
        content["outputIndex"] = output_index
        content["proveWithdrawalTransaction"] = to_data(prove_call(proof, output_index))
    return content


def account_json(proof: AccountStateProof) -> dict[str, Any]:
    """The file of an account proof. Raises `DecodeError` where the proof does not hold."""
    proven = proof.verified()
    found = proven.account
    return {
        "format": FORMAT,
        "kind": "account",
        "state": _state(proof.zk_trie),
        "block": _block(proof.header),
        "address": to_data(proof.address),
        "account": None
        if found is None
        else {
            "nonce": to_quantity(found.nonce),
            "balance": to_quantity(found.balance),
            "codeHash": to_data(found.code_hash),
            "storageHash": to_data(found.storage_root),
        },
        "accountProof": [to_data(node) for node in proof.account_proof],
        "storage": [
            {"key": to_data(one.slot), "value": to_quantity(word), "proof": [to_data(node) for node in one.nodes]}
            for one, word in zip(proof.slots, proven.words, strict=True)
        ],
    }


def _state(zk_trie: bool) -> str:
    return ZK_TRIE if zk_trie else MERKLE_PATRICIA


def _block(header: Header) -> dict[str, Any]:
    return {
        "number": header.number,
        "hash": to_data(header.hash),
        "stateRoot": to_data(header.state_root),
        "header": to_data(header.encode()),
    }
