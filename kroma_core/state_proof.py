"""Accounts and storage proven against a root, in either of Kroma's eras.

A proof of the ZK trie ends with that trie's magic, which no Merkle-Patricia node can be: the proof itself says how it
has to be read. Whether a chain has that kind of state at the block in question is up to the caller, who has the root.
Spec: EIP-1186; kroma, op-service/eth/account_proof.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.codec.fields import as_fixed, as_u64, as_uint, expect_count
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import decode, decode_list
from kroma_core.codec.trie_proof import proven as merkle_patricia_proven
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.accounts import Account, account_of, word_of
from kroma_core.zktrie.proof import is_zk_proof
from kroma_core.zktrie.proof import proven as zk_proven


def proven_account(state_root: Hash32, address: Address, nodes: Sequence[bytes]) -> Account | None:
    """The account at `address`, None where the proof shows that there is none.

    `nodes` stand from the root down, as eth_getProof answers them. Raises `DecodeError` where they prove neither; for
    a ZK proof it is a `TrieFault`, which has the reason as a value.
    """
    if is_zk_proof(nodes):
        words = zk_proven(state_root, address, nodes)
        return None if words is None else account_of(words)
    raw = merkle_patricia_proven(state_root, keccak256(address), nodes)
    return None if raw is None else _account(raw)


def proven_word(storage_root: Hash32, slot: Hash32, nodes: Sequence[bytes]) -> int:
    """The word in a slot of storage, zero where the proof shows that there is none. Errors as for accounts.

    The storage root of an account without storage needs no nodes in either era.
    """
    if is_zk_proof(nodes) or (not any(storage_root) and not nodes):
        words = zk_proven(storage_root, slot, nodes)
        return 0 if words is None else word_of(words)
    raw = merkle_patricia_proven(storage_root, keccak256(slot), nodes)
    return 0 if raw is None else as_uint(decode(raw), "storage word", 32)


def _account(raw: bytes) -> Account:
    items = decode_list(raw)
    expect_count(items, 4, "account")
    return Account(
        nonce=as_u64(items[0], "account nonce"),
        balance=as_uint(items[1], "account balance", 32),
        storage_root=as_fixed(items[2], 32, "account storage root"),
        code_hash=as_fixed(items[3], 32, "account code hash"),
    )
