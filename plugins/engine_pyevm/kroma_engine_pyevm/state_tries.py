"""What a state root commits to: accounts and their storage, in the trie that the rules of the block's time name.

A running block works on plain values (`state`); only what it reads first and leaves behind goes through here.
Spec: yellow paper, section 4.1; kroma-geth, core/types/state_account_marshalling.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import decode_list, encode_int, list_header
from kroma_core.types import Address, Hash32
from kroma_core.zktrie import accounts as zk_accounts
from kroma_core.zktrie import nodes as zk_nodes
from kroma_core.zktrie import trie as zk_trie
from kroma_core.zktrie.hashing import key_of
from kroma_engine_pyevm.trie import NodeCache, lookup, prove, update


class StoredAccount(NamedTuple):
    """An account as a state root commits to it."""

    nonce: int
    balance: int
    storage_root: Hash32
    code_hash: Hash32


class StateTrie(Protocol):
    """One way of committing to a state. New nodes go to `written`; whoever calls stores them."""

    @property
    def empty_root(self) -> Hash32:
        """The storage root of an account without storage, and the state root of no accounts."""
        ...

    def account(self, root: Hash32, address: Address) -> StoredAccount | None: ...

    def word(self, storage_root: Hash32, slot: int) -> int:
        """The word in a slot of storage, zero if there is none."""
        ...

    def storage_after(self, storage_root: Hash32, words: Mapping[int, int], written: dict[Hash32, bytes]) -> Hash32:
        """The storage root after these slots were set; zero deletes."""
        ...

    def accounts_after(
        self, root: Hash32, accounts: Mapping[Address, StoredAccount | None], written: dict[Hash32, bytes]
    ) -> Hash32:
        """The state root after these accounts were set; None deletes. Raises `DecodeError` for a balance that the
        trie cannot hold."""
        ...

    def account_proof(self, root: Hash32, address: Address) -> tuple[bytes, ...]:
        """The nodes that prove what is, or is not, at `address`, as eth_getProof has them."""
        ...

    def storage_proof(self, storage_root: Hash32, slot: Hash32) -> tuple[bytes, ...]: ...


class MerklePatriciaState:
    """Ethereum's state: keccak tries of RLP."""

    empty_root = EMPTY_ROOT

    def __init__(self, nodes: NodeCache) -> None:
        self.nodes = nodes

    def account(self, root: Hash32, address: Address) -> StoredAccount | None:
        raw = lookup(self.nodes, root, keccak256(address))
        if not raw:
            return None
        nonce, balance, storage_root, code_hash = decode_list(raw)
        assert isinstance(nonce, bytes)
        assert isinstance(balance, bytes)
        assert isinstance(storage_root, bytes)
        assert isinstance(code_hash, bytes)
        return StoredAccount(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), storage_root, code_hash)

    def word(self, storage_root: Hash32, slot: int) -> int:
        if storage_root == EMPTY_ROOT:
            return 0
        raw = lookup(self.nodes, storage_root, keccak256(slot.to_bytes(32, "big")))
        if not raw:
            return 0
        return raw[0] if len(raw) == 1 else int.from_bytes(raw[1:], "big")

    def storage_after(self, storage_root: Hash32, words: Mapping[int, int], written: dict[Hash32, bytes]) -> Hash32:
        slots = {keccak256(slot.to_bytes(32, "big")): encode_int(word) if word else b"" for slot, word in words.items()}
        return update(self.nodes, storage_root, slots, written)

    def accounts_after(
        self, root: Hash32, accounts: Mapping[Address, StoredAccount | None], written: dict[Hash32, bytes]
    ) -> Hash32:
        changes = {
            keccak256(address): b"" if account is None else _encode(account) for address, account in accounts.items()
        }
        return update(self.nodes, root, changes, written)

    def account_proof(self, root: Hash32, address: Address) -> tuple[bytes, ...]:
        return prove(self.nodes, root, keccak256(address))

    def storage_proof(self, storage_root: Hash32, slot: Hash32) -> tuple[bytes, ...]:
        return prove(self.nodes, storage_root, keccak256(slot))


def _encode(account: StoredAccount) -> bytes:
    payload = b"%b%b\xa0%b\xa0%b" % (
        encode_int(account.nonce),
        encode_int(account.balance),
        account.storage_root,
        account.code_hash,
    )
    return list_header(len(payload)) + payload


class ZkState:
    """Kroma's state before its change to Merkle-Patricia tries."""

    empty_root = zk_nodes.EMPTY_ROOT

    def __init__(self, nodes: zk_trie.NodeCache) -> None:
        self.nodes = nodes

    def account(self, root: Hash32, address: Address) -> StoredAccount | None:
        leaf = zk_trie.lookup(self.nodes, root, key_of(address))
        if leaf is None:
            return None
        found = zk_accounts.account_of(leaf.words)
        return StoredAccount(found.nonce, found.balance, found.storage_root, found.code_hash)

    def word(self, storage_root: Hash32, slot: int) -> int:
        if storage_root == zk_nodes.EMPTY_ROOT:
            return 0
        leaf = zk_trie.lookup(self.nodes, storage_root, key_of(slot.to_bytes(32, "big")))
        return 0 if leaf is None else zk_accounts.word_of(leaf.words)

    def storage_after(self, storage_root: Hash32, words: Mapping[int, int], written: dict[Hash32, bytes]) -> Hash32:
        changes: dict[int, zk_nodes.Leaf | None] = {}
        for number, word in words.items():
            slot = number.to_bytes(32, "big")
            changes[key_of(slot)] = zk_accounts.storage_leaf(slot, word)
        return zk_trie.update(self.nodes, storage_root, changes, written)

    def accounts_after(
        self, root: Hash32, accounts: Mapping[Address, StoredAccount | None], written: dict[Hash32, bytes]
    ) -> Hash32:
        changes: dict[int, zk_nodes.Leaf | None] = {}
        for address, account in accounts.items():
            changes[key_of(address)] = None if account is None else _leaf(address, account)
        return zk_trie.update(self.nodes, root, changes, written)

    def account_proof(self, root: Hash32, address: Address) -> tuple[bytes, ...]:
        return zk_trie.prove(self.nodes, root, key_of(address))

    def storage_proof(self, storage_root: Hash32, slot: Hash32) -> tuple[bytes, ...]:
        """kroma-geth answers no nodes at all for an account without storage."""
        if storage_root == zk_nodes.EMPTY_ROOT:
            return ()
        return zk_trie.prove(self.nodes, storage_root, key_of(slot))


def _leaf(address: Address, account: StoredAccount) -> zk_nodes.Leaf:
    return zk_accounts.account_leaf(
        address,
        zk_accounts.Account(
            nonce=account.nonce,
            balance=account.balance,
            code_hash=account.code_hash,
            storage_root=account.storage_root,
        ),
    )
