"""Merkle proofs of accounts and storage. Spec: EIP-1186."""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.api import AccountProof
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.codec.rlp import decode, decode_list
from kroma_core.types import Address, Hash32
from kroma_engine_pyevm.trie import NodeCache, lookup, prove


def account_proof(nodes: NodeCache, state_root: Hash32, address: Address, slots: Sequence[Hash32]) -> AccountProof:
    """Proof of an account, absent ones too, and of slots of its storage in the state with this root."""
    key = keccak256(address)
    nonce, balance, root, code_hash = _account(nodes, state_root, key)
    storage = []
    for slot in slots:
        slot_key = keccak256(slot)
        raw = lookup(nodes, root, slot_key)
        storage.append((slot, _word(raw), prove(nodes, root, slot_key)))
    return AccountProof(
        address=address,
        nonce=nonce,
        balance=balance,
        code_hash=code_hash,
        storage_root=root,
        account_proof=prove(nodes, state_root, key),
        storage=tuple(storage),
    )


def storage_root(nodes: NodeCache, state_root: Hash32, address: Address) -> Hash32:
    """An account's storage root; the empty root for an absent account."""
    return _account(nodes, state_root, keccak256(address))[2]


def _account(nodes: NodeCache, state_root: Hash32, key: Hash32) -> tuple[int, int, Hash32, Hash32]:
    raw = lookup(nodes, state_root, key)
    if not raw:
        return 0, 0, EMPTY_ROOT, EMPTY_HASH
    nonce, balance, root, code_hash = decode_list(raw)
    assert isinstance(nonce, bytes)
    assert isinstance(balance, bytes)
    assert isinstance(root, bytes)
    assert isinstance(code_hash, bytes)
    return int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), root, code_hash


def _word(raw: bytes) -> int:
    if not raw:
        return 0
    value = decode(raw)
    assert isinstance(value, bytes)
    return int.from_bytes(value, "big")
