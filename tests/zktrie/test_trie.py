"""The ZK trie: reads, updates in batches, deletions, iteration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.errors import CriticalError
from kroma_core.types import Hash32
from kroma_core.zktrie.accounts import Account, account_leaf, storage_leaf, storage_root
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf, Parent, decode_node
from kroma_core.zktrie.poseidon_parameters import MODULUS
from kroma_core.zktrie.trie import NodeCache, leaves, lookup, root_of, update
from tests.zktrie.tries import Storage, bare_leaves, slot

SLOTS = st.integers(0, 20)
STEPS = st.lists(st.dictionaries(SLOTS, st.integers(0, 3), min_size=1, max_size=6), max_size=5)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_a_trie_after_any_changes_is_the_one_built_of_what_is_left(steps: list[dict[int, int]]) -> None:
    trie = Storage()
    content: dict[int, int] = {}
    for step in steps:
        trie.put(step)
        content |= step
    assert trie.root == storage_root({slot(at): slot(word) for at, word in content.items()})
    assert {at: trie.get(at) for at in range(21)} == {at: content.get(at, 0) for at in range(21)}


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(SLOTS, st.integers(0, 3), min_size=1))
def test_changes_at_once_and_one_after_the_other_give_the_same_root(changes: dict[int, int]) -> None:
    before = dict.fromkeys(range(0, 20, 3), 9)
    at_once, in_turn = Storage(before), Storage(before)
    for at, word in changes.items():
        in_turn.put({at: word})
    assert at_once.put(changes) == in_turn.root


def test_deleting_the_neighbour_of_a_parent_at_depth_1_leaves_that_parent_at_depth_1() -> None:
    """Where kroma-geth 0.4.4 went wrong at Kroma's block 8171899 (2024-03-12): it made that parent the root.

    Slots 0 and 1 share their first step, slot 8 has the other side of the root alone; then mirrored, slots 8 and 11
    against slot 2. Roots: zktrie module 6ddaf0cc0481 with go-iden3-crypto 0.0.17, words one above their slots.
    """
    trie = Storage()
    assert trie.put({0: 1}).hex() == "2751f684166b41d59c6dc7f4a2f8b90c9df30dc6e480909828313f1fe41e28b5"
    without = trie.put({1: 2})
    assert without.hex() == "24ee6a3e509ac4cd3f801a7733fab90dc79e142b8d67d3a87312d7bf4de379ea"
    assert trie.put({8: 9}).hex() == "1006a3b23481ba23bdd7e3d418e7a52c5f6806dd19ec9f4b52a052914cf871ba"
    top = trie.nodes.load(trie.root)
    assert isinstance(top, Parent)
    parent = top.left
    assert trie.put({8: 0}) == without
    assert without != parent
    top = trie.nodes.load(without)
    assert isinstance(top, Parent)
    assert (top.left, top.right) == (parent, EMPTY_ROOT)

    trie = Storage({8: 9})
    assert trie.put({11: 12}).hex() == "009ad52d5852d7f19002959349738157b12fcee4d76a9a26a8a19b19cca3b65f"
    assert trie.put({2: 3}).hex() == "1520fe0d1a5e758198d940cf4c7310a5871b0197e0ccea970b19f19e31b25d60"
    assert trie.put({2: 0}).hex() == "009ad52d5852d7f19002959349738157b12fcee4d76a9a26a8a19b19cca3b65f"
    top = trie.nodes.load(trie.root)
    assert isinstance(top, Parent)
    assert top.left == EMPTY_ROOT


def test_deleting_the_neighbour_of_a_parent_below_depth_1_leaves_it_too() -> None:
    """Slots 0 and 3 share five steps, slot 1 forks off after the first. Roots as above."""
    trie = Storage({0: 1, 3: 4, 1: 2, 8: 9})
    assert trie.root.hex() == "14b7dbd899b5cf297c4bcffc74c8003551345fa664da69cec200bb24aab6452b"
    assert trie.put({1: 0}).hex() == "1a2ce1761149767fa9f0977b11f719c234cdbd849e3f810f5a5b441b1f576e5a"


def test_a_leaf_left_alone_is_lifted_past_all_empty_sides() -> None:
    """Slots 0 and 3 share five steps; roots as above."""
    trie = Storage({0: 1, 3: 4})
    assert trie.root.hex() == "2eac922ba1510bb57e853a07eb21c4961b0cc7f7e05547fa908b2d1e1c0cdf5a"
    assert trie.put({8: 9}).hex() == "1a2ce1761149767fa9f0977b11f719c234cdbd849e3f810f5a5b441b1f576e5a"
    assert trie.put({3: 0}).hex() == "044b70c579074e68341f27d2ff021102f4181c23a759d45c7cd4839e9034dec3"
    assert trie.put({8: 0}).hex() == "2751f684166b41d59c6dc7f4a2f8b90c9df30dc6e480909828313f1fe41e28b5"
    assert trie.put({0: 0}) == EMPTY_ROOT


def test_deleting_what_is_not_there_changes_and_writes_nothing() -> None:
    trie = Storage({0: 1, 1: 2, 8: 9})
    root, count = trie.root, len(trie.stored)
    assert trie.put({5: 0, 6: 0, 12: 0}) == root
    assert trie.put({0: 1}) == root
    assert len(trie.stored) == count
    assert Storage().put({4: 0}) == EMPTY_ROOT


def test_an_update_writes_each_new_node_once_and_old_roots_stay_readable() -> None:
    trie = Storage(dict.fromkeys(range(40), 1))
    old, nodes_before = trie.root, dict(trie.stored)
    trie.put({0: 5})
    new = {node_hash: raw for node_hash, raw in trie.stored.items() if node_hash not in nodes_before}
    depth = len(trie.prove(0)) - 1
    assert len(new) == depth
    leaf = lookup(NodeCache(trie.stored), old, key_of(slot(0)))
    assert leaf is not None
    assert leaf.words == (slot(1),)


def test_stored_nodes_hash_to_their_keys_and_carry_preimages() -> None:
    trie = Storage({at: at for at in range(1, 9)})
    for node_hash, raw in trie.stored.items():
        node = decode_node(raw)
        assert node is not None
        assert node.hash == node_hash
        if isinstance(node, Leaf):
            assert key_of(node.preimage) == node.key


def test_leaves_come_in_the_order_of_their_paths_and_again_from_any_of_them() -> None:
    trie = Storage(dict.fromkeys(range(1, 30), 1))
    found = [leaf.key for leaf in leaves(trie.nodes, trie.root)]
    assert found == sorted(found, key=lambda key: f"{key:0256b}"[::-1])
    assert set(found) == {key_of(slot(at)) for at in range(1, 30)}
    for at, key in enumerate(found):
        assert [leaf.key for leaf in leaves(trie.nodes, trie.root, after=key)] == found[at + 1 :]
    absent = key_of(slot(99))
    rest = [leaf.key for leaf in leaves(trie.nodes, trie.root, after=absent)]
    assert sorted([*rest, absent], key=lambda key: f"{key:0256b}"[::-1])[0] == absent
    assert rest == found[len(found) - len(rest) :]
    assert list(leaves(trie.nodes, EMPTY_ROOT)) == []


def test_keys_that_share_247_steps_cannot_stand_in_one_trie() -> None:
    forked = root_of(bare_leaves([0, 1 << 246]))
    assert forked != EMPTY_ROOT
    with pytest.raises(CriticalError, match="share 247 bits"):
        root_of(bare_leaves([0, 1 << 247]))


def test_a_balance_at_the_modulus_is_refused_and_one_below_is_not() -> None:
    address = bytes(range(20))
    leaf = account_leaf(address, Account(balance=MODULUS - 1))
    assert root_of([leaf]) == leaf.hash
    with pytest.raises(TrieFault) as caught:
        account_leaf(address, Account(balance=MODULUS))
    assert caught.value.fault is Fault.NOT_AN_ELEMENT


def test_a_word_of_storage_may_be_above_the_modulus() -> None:
    leaf = storage_leaf(slot(0), 2**256 - 1)
    assert leaf is not None
    trie = Storage({0: 2**256 - 1})
    assert trie.root == leaf.hash
    assert trie.get(0) == 2**256 - 1


def test_a_node_that_the_store_lacks_is_named() -> None:
    trie = Storage(dict.fromkeys(range(5), 1))
    lost = trie.nodes.load(trie.root)
    assert isinstance(lost, Parent)
    assert isinstance(lost.left, Hash32)
    del trie.stored[lost.left]
    with pytest.raises(CriticalError, match=lost.left.hex()):
        list(leaves(NodeCache(trie.stored), trie.root))


def test_a_small_cache_reads_the_same_trie() -> None:
    trie = Storage({at: at for at in range(1, 20)})
    nodes = NodeCache(trie.stored, capacity=4)
    root = update(nodes, trie.root, {key_of(slot(3)): None}, trie.stored)
    assert root == storage_root({slot(at): slot(at) for at in range(1, 20) if at != 3})
