"""Proofs of accounts and storage, whichever trie they are of."""

from __future__ import annotations

import pytest

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode
from kroma_core.codec.trie_root import EMPTY_ROOT as EMPTY_MERKLE_PATRICIA_ROOT
from kroma_core.errors import DecodeError
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Hash32
from kroma_core.zktrie.accounts import Account, account_leaf
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT
from kroma_core.zktrie.proof import MAGIC
from kroma_core.zktrie.trie import NodeCache, prove, update
from tests.zktrie.tries import Storage, slot

ALICE, BOB = bytes.fromhex("aa" * 20), bytes.fromhex("bb" * 20)


def merkle_patricia_leaf(key: bytes, value: bytes) -> bytes:
    """A trie of one leaf."""
    return encode([b"\x20" + keccak256(key), value])


def test_an_account_of_the_zk_trie_is_proven_with_its_storage() -> None:
    storage = Storage({1: 5, 2: 2**255})
    account = Account(nonce=3, balance=7, storage_root=storage.root)
    stored: dict[Hash32, bytes] = {}
    nodes = NodeCache(stored)
    root = update(nodes, EMPTY_ROOT, {key_of(ALICE): account_leaf(ALICE, account)}, stored)
    assert proven_account(root, ALICE, prove(nodes, root, key_of(ALICE))) == account
    assert proven_account(root, BOB, prove(nodes, root, key_of(BOB))) is None
    assert [proven_word(storage.root, slot(at), storage.prove(at)) for at in (1, 2, 3)] == [5, 2**255, 0]


def test_an_account_of_the_merkle_patricia_trie_is_proven_with_its_storage() -> None:
    word = merkle_patricia_leaf(slot(1), encode(5))
    account = Account(nonce=3, balance=7, storage_root=keccak256(word))
    node = merkle_patricia_leaf(ALICE, encode([3, 7, account.storage_root, account.code_hash]))
    assert proven_account(keccak256(node), ALICE, [node]) == account
    assert proven_account(keccak256(node), BOB, [node]) is None
    assert proven_word(account.storage_root, slot(1), [word]) == 5
    assert proven_word(account.storage_root, slot(2), [word]) == 0


def test_storage_that_is_not_there_needs_no_nodes() -> None:
    assert proven_word(EMPTY_ROOT, slot(1), []) == 0
    assert proven_word(EMPTY_MERKLE_PATRICIA_ROOT, slot(1), []) == 0


def test_a_proof_of_one_trie_is_not_taken_for_the_others() -> None:
    node = merkle_patricia_leaf(ALICE, encode([3, 7, bytes(32), bytes(32)]))
    with pytest.raises(TrieFault) as caught:
        proven_account(keccak256(node), ALICE, [node, MAGIC])
    assert caught.value.fault in (Fault.MALFORMED, Fault.NOT_AN_ELEMENT)
    storage = Storage({1: 5, 2: 6})
    with pytest.raises(DecodeError):
        proven_word(storage.root, slot(1), storage.prove(1)[:-1])


@pytest.mark.parametrize(
    "fields",
    [
        [3, 7, bytes(32)],
        [2**64, 7, bytes(32), bytes(32)],
        [3, 2**256, bytes(32), bytes(32)],
        [3, 7, bytes(31), bytes(32)],
        [3, b"\0\7", bytes(32), bytes(32)],
    ],
)
def test_an_account_that_is_not_canonical_is_refused(fields: list[int | bytes]) -> None:
    node = merkle_patricia_leaf(ALICE, encode(fields))
    with pytest.raises(DecodeError):
        proven_account(keccak256(node), ALICE, [node])
