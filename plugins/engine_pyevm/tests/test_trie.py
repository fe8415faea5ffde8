"""The trie of the engine, against roots built in one pass and against its own past."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kroma_engine_pyevm.store import MemoryStore
from kroma_engine_pyevm.trie import NodeCache, lookup, prove, update

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.trie_root import trie_root
from kroma_core.errors import CriticalError

# Keys that share long stretches, and values that make nodes shorter and longer than a hash.
KEYS = st.builds(
    lambda head, tail: (head + bytes(32))[: 32 - len(tail)] + tail,
    st.lists(st.sampled_from([0x00, 0x01, 0x10, 0x11]), max_size=32).map(bytes),
    st.binary(max_size=2),
)
VALUES = st.one_of(st.just(b""), st.binary(min_size=1, max_size=3), st.binary(min_size=30, max_size=70))
BATCHES = st.lists(st.dictionaries(KEYS, VALUES, max_size=12), min_size=1, max_size=6)


@given(batches=BATCHES, capacity=st.sampled_from([2, 100_000]))
@settings(max_examples=150, deadline=None)
def test_updates_in_batches_give_the_root_of_what_is_left(batches: list[dict[bytes, bytes]], capacity: int) -> None:
    store = MemoryStore()
    nodes = NodeCache(store, capacity)
    root = EMPTY_ROOT
    content: dict[bytes, bytes] = {}
    past: list[tuple[bytes, dict[bytes, bytes]]] = []
    for batch in batches:
        written: dict[bytes, bytes] = {}
        root = update(nodes, root, batch, written)
        store.write(written)
        content = {key: value for key, value in {**content, **batch}.items() if value}
        assert root == trie_root(content.items())
        assert all(keccak256(node) == node_hash for node_hash, node in written.items())
        past.append((root, content))
    fresh = NodeCache(store, capacity)
    for old_root, old_content in past:
        for key in {key for batch in batches for key in batch}:
            assert lookup(fresh, old_root, key) == old_content.get(key, b"")


def test_proof_leads_from_the_root_to_the_leaf() -> None:
    store = MemoryStore()
    nodes = NodeCache(store)
    keys = [keccak256(bytes((index,))) for index in range(50)]
    written: dict[bytes, bytes] = {}
    root = update(nodes, EMPTY_ROOT, dict.fromkeys(keys, b"\x07" * 40), written)
    store.write(written)
    proof = prove(nodes, root, keys[3])
    assert keccak256(proof[0]) == root
    assert all(keccak256(below) in above for above, below in itertools.pairwise(proof))
    assert proof[-1].endswith(b"\x07" * 40)


def test_proof_of_absence_ends_where_the_paths_part() -> None:
    store = MemoryStore()
    nodes = NodeCache(store)
    written: dict[bytes, bytes] = {}
    root = update(nodes, EMPTY_ROOT, {bytes(32): b"\x07" * 40}, written)
    store.write(written)
    assert prove(nodes, root, b"\xff" * 32) == tuple(written.values())
    assert prove(nodes, EMPTY_ROOT, bytes(32)) == ()


def test_missing_node_is_named() -> None:
    with pytest.raises(CriticalError, match="0x0101"):
        lookup(NodeCache(MemoryStore()), b"\x01" * 32, bytes(32))
