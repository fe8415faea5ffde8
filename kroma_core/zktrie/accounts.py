"""What the leaves of a ZK trie say: accounts, and words of storage.

Spec: kroma-geth, core/types/state_account_marshalling.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from kroma_core.codec.keccak import EMPTY_HASH
from kroma_core.types import Address, Hash32
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import element, key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf
from kroma_core.zktrie.trie import root_of

_ADDRESS_PADDING = bytes(12)
_ACCOUNT_WORDS = 4


@attrs.frozen(kw_only=True)
class Account:
    """An account as a state root commits to it. Code is known by its keccak hash in both eras.

    The default storage root is that of the ZK trie.
    """

    nonce: int = 0
    balance: int = 0
    code_hash: Hash32 = EMPTY_HASH
    storage_root: Hash32 = EMPTY_ROOT


def account_leaf(address: Address, account: Account) -> Leaf:
    """Raises `TrieFault` where the balance is no field element: this trie cannot hold such a balance."""
    balance = account.balance.to_bytes(32, "big")
    element(balance, f"balance of account 0x{address.hex()}")
    words = (account.nonce.to_bytes(32, "big"), balance, account.code_hash, account.storage_root)
    return Leaf(key_of(address), words, address + _ADDRESS_PADDING)


def account_of(words: Sequence[Hash32]) -> Account:
    """The account that a leaf's words are. Raises `TrieFault` where they are none."""
    if len(words) != _ACCOUNT_WORDS:
        raise TrieFault(Fault.NOT_CANONICAL, f"expected an account of {_ACCOUNT_WORDS} words, got {len(words)}")
    nonce, balance, code_hash, storage_root = words
    if any(nonce[:24]):
        raise TrieFault(Fault.NOT_CANONICAL, f"expected a nonce of 64 bits, got 0x{nonce.hex()}")
    return Account(
        nonce=int.from_bytes(nonce, "big"),
        balance=element(balance, "balance of an account"),
        code_hash=code_hash,
        storage_root=storage_root,
    )


def storage_leaf(slot: Hash32, word: int) -> Leaf | None:
    """None for zero: a slot of zero is not there."""
    return Leaf(key_of(slot), (word.to_bytes(32, "big"),), slot) if word else None


def word_of(words: Sequence[Hash32]) -> int:
    """The word that a leaf of a storage trie holds. Raises `TrieFault` where it holds no such word, or zero."""
    if len(words) != 1:
        raise TrieFault(Fault.NOT_CANONICAL, f"expected storage of 1 word, got {len(words)}")
    if not any(words[0]):
        raise TrieFault(Fault.NOT_CANONICAL, "a slot of zero has no leaf")
    return int.from_bytes(words[0], "big")


def storage_root(storage: Mapping[Hash32, Hash32]) -> Hash32:
    """Root of an account's storage, of words by slot."""
    leaves = [storage_leaf(slot, int.from_bytes(word, "big")) for slot, word in storage.items()]
    return root_of([leaf for leaf in leaves if leaf is not None])


def state_root(accounts: Mapping[Address, Account]) -> Hash32:
    """Root of the trie of these accounts, empty ones included. Raises `TrieFault`, as `account_leaf` does."""
    return root_of([account_leaf(address, account) for address, account in accounts.items()])
