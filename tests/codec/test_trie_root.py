"""Roots of tries, against an implementation that builds the trie in a database."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.rlp import encode_int
from kroma_core.codec.trie_root import ordered_root, trie_root

trie = pytest.importorskip("trie", reason="the independent implementation is the distribution `trie`")


def reference(pairs: dict[bytes, bytes]) -> bytes:
    tree = trie.HexaryTrie({})
    for key, value in pairs.items():
        tree[key] = value
    root: bytes = tree.root_hash
    return root


def values(count: int, size: int) -> list[bytes]:
    return [hashlib.shake_128(index.to_bytes(4, "big")).digest(1 + index % size) for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 127, 128, 129, 130, 255, 256, 257, 300])
@pytest.mark.parametrize("size", [3, 40, 300])
def test_an_ordered_root_is_that_of_the_trie_of_rlp_indices(count: int, size: int) -> None:
    items = values(count, size)
    assert ordered_root(items) == reference({encode_int(index): item for index, item in enumerate(items)})


def test_no_items_have_the_empty_root() -> None:
    assert ordered_root([]) == trie_root([]) == EMPTY_ROOT


@pytest.mark.parametrize("gaps", [{0}, {5}, {0, 127, 128}, set(range(130))])
def test_an_empty_item_leaves_its_index_out(gaps: set[int]) -> None:
    items = [b"" if index in gaps else item for index, item in enumerate(values(130, 50))]
    present = {encode_int(index): item for index, item in enumerate(items) if item}
    assert ordered_root(items) == (reference(present) if present else EMPTY_ROOT)


@given(st.dictionaries(st.binary(max_size=4), st.binary(min_size=1, max_size=40), max_size=40))
@settings(max_examples=150)
def test_keys_that_begin_other_keys_have_their_value_in_a_branch(pairs: dict[bytes, bytes]) -> None:
    assert trie_root(pairs.items()) == reference(pairs)


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.binary(min_size=1, max_size=80), max_size=40))
@settings(max_examples=50)
def test_hashed_keys_have_the_root_of_the_state_trie(pairs: dict[bytes, bytes]) -> None:
    assert trie_root(pairs.items()) == reference(pairs)


def test_the_order_of_pairs_does_not_matter_and_empty_values_are_absent() -> None:
    pairs = {hashlib.sha256(bytes((index,))).digest(): bytes((index,)) * 40 for index in range(1, 60)}
    backwards = [*reversed(pairs.items()), (b"\x00" * 32, b"")]
    assert trie_root(backwards) == reference(pairs)
