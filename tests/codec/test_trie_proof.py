"""Merkle-Patricia proofs, made by the `trie` library and taken apart by ours."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.trie_proof import proven
from kroma_core.errors import DecodeError


def grown(pairs: dict[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in pairs.items():
        trie[key] = value
    return trie


def nodes_for(trie: HexaryTrie, key: bytes) -> list[bytes]:
    """Nodes that lie inside their parent are left out, as `eth_getProof` leaves them out."""
    encoded = [rlp.encode(node) for node in trie.get_proof(key)]
    return [node for index, node in enumerate(encoded) if index == 0 or len(node) >= 32]


HUNDRED = {keccak256(bytes([number])): b"value %d" % number * 4 for number in range(100)}
TRIE = grown(HUNDRED)


def test_every_key_of_a_trie_is_proven() -> None:
    for key, value in HUNDRED.items():
        assert proven(TRIE.root_hash, key, nodes_for(TRIE, key)) == value


def test_a_key_that_is_not_there_is_proven_absent() -> None:
    for number in range(100, 160):
        key = keccak256(bytes([number]))
        assert proven(TRIE.root_hash, key, nodes_for(TRIE, key)) is None


def test_the_empty_trie_has_no_nodes_and_no_keys() -> None:
    assert proven(EMPTY_ROOT, bytes(32), []) is None
    with pytest.raises(DecodeError, match="expected 0 nodes, got 1"):
        proven(EMPTY_ROOT, bytes(32), [b"\xc0"])


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(min_size=1, max_size=40), min_size=1),
    st.binary(min_size=1, max_size=3),
)
def test_short_keys_and_values_are_proven_through_embedded_nodes(pairs: dict[bytes, bytes], other: bytes) -> None:
    trie = grown(pairs)
    for key in (*pairs, other):
        assert proven(trie.root_hash, key, nodes_for(trie, key)) == pairs.get(key)


def refused(nodes: Sequence[bytes], key: bytes) -> str:
    with pytest.raises(DecodeError) as error:
        proven(TRIE.root_hash, key, nodes)
    return str(error.value)


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    key = next(iter(HUNDRED))
    nodes = nodes_for(TRIE, key)
    for place, node in enumerate(nodes):
        for index in range(len(node)):
            bad = node[:index] + bytes([node[index] ^ 1]) + node[index + 1 :]
            assert f"expected node {place} to hash to" in refused([*nodes[:place], bad, *nodes[place + 1 :]], key)


def test_missing_and_additional_nodes_are_noticed() -> None:
    key = next(iter(HUNDRED))
    nodes = nodes_for(TRIE, key)
    assert "got no more" in refused(nodes[:-1], key)
    assert "got no more" in refused([], key)
    assert f"expected {len(nodes)} nodes, got {len(nodes) + 1}" in refused([*nodes, nodes[0]], key)


def test_the_proof_of_one_key_does_not_prove_another() -> None:
    one, other = list(HUNDRED)[:2]
    assert one.hex()[0] != other.hex()[0]
    assert "hash to" in refused(nodes_for(TRIE, one), other)


@pytest.mark.parametrize(
    "node",
    [[b""], [b"", b"x"], [b"\x40", b"x"], [b"\x00", bytes(32)], [[b"\x20"], b"x"], [b"\x20", [b"x"]], [b"\x17", b"x"]],
)
def test_a_malformed_node_is_refused(node: list[object]) -> None:
    raw = rlp.encode(node)
    with pytest.raises(DecodeError):
        proven(keccak256(raw), b"" if node[0] == b"\x20" else b"\x70", [raw])
