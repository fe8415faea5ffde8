"""Merkle proofs of accounts and storage. Spec: EIP-1186."""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.api import AccountProof
from kroma_core.codec.keccak import EMPTY_HASH
from kroma_core.types import Address, Hash32
from kroma_engine_pyevm.state_tries import StateTrie, StoredAccount


def account_proof(trie: StateTrie, state_root: Hash32, address: Address, slots: Sequence[Hash32]) -> AccountProof:
    """Proof of an account, absent ones too, and of slots of its storage in the state with this root."""
    account = _account(trie, state_root, address)
    root = account.storage_root
    return AccountProof(
        address=address,
        nonce=account.nonce,
        balance=account.balance,
        code_hash=account.code_hash,
        storage_root=root,
        account_proof=trie.account_proof(state_root, address),
        storage=tuple(
            [(slot, trie.word(root, int.from_bytes(slot, "big")), trie.storage_proof(root, slot)) for slot in slots]
        ),
    )


def storage_root(trie: StateTrie, state_root: Hash32, address: Address) -> Hash32:
    """An account's storage root; the empty root for an absent account."""
    return _account(trie, state_root, address).storage_root


def _account(trie: StateTrie, state_root: Hash32, address: Address) -> StoredAccount:
    return trie.account(state_root, address) or StoredAccount(0, 0, trie.empty_root, EMPTY_HASH)
