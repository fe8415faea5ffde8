"""ZK-trie proofs: what a key maps to in a trie of which only the root is known.

A proof is the list of nodes from the root down, the last one a leaf or the empty node, and then a text that no node can
be: by it the two kinds of state proof are told apart.
Spec: zktrie, trie/zk_trie_proof.go; kroma, ZKMerkleTrie.sol.
"""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.types import Hash32
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import element, key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, MAX_DEPTH, Leaf, decode_node

MAGIC = b"THIS IS SOME MAGIC BYTES FOR SMT m1rRXgP2xpDI"


def is_zk_proof(nodes: Sequence[bytes]) -> bool:
    """Whether a list of nodes is a proof of a ZK trie, good or bad: a Merkle-Patricia proof never ends so."""
    return bool(nodes) and nodes[-1] == MAGIC


def proven(root: Hash32, preimage: bytes, nodes: Sequence[bytes]) -> tuple[Hash32, ...] | None:
    """The words at the key of `preimage` (an address or a slot), None where the proof shows that there are none.

    Raises `TrieFault` where the nodes prove neither: one does not hash to what points to it, is missing, is not in the
    one form that a node has, is too many, or stands too deep. Stricter than kroma-node, which takes nodes in any order
    and does not look at preimages, and as strict as the contract on L1.
    """
    if root == EMPTY_ROOT and not nodes:
        return None
    if not is_zk_proof(nodes):
        raise TrieFault(Fault.NO_MAGIC, f"expected the magic after {len(nodes)} elements of a proof")
    path = nodes[:-1]
    if len(path) > MAX_DEPTH:
        raise TrieFault(Fault.TOO_DEEP, f"expected at most {MAX_DEPTH} nodes, got {len(path)}")
    element(root, "root")
    key = key_of(preimage)
    wanted = root
    for depth, raw in enumerate(path):
        node = decode_node(raw)
        got = EMPTY_ROOT if node is None else node.hash
        if got != wanted:
            raise TrieFault(Fault.WRONG_NODE, f"expected node {depth} to hash to 0x{wanted.hex()}, got 0x{got.hex()}")
        if node is None or isinstance(node, Leaf):
            if depth + 1 < len(path):
                raise TrieFault(Fault.TOO_MANY_NODES, f"expected {depth + 1} nodes, got {len(path)}")
            return None if node is None else _value(node, key, depth)
        side = node.right if key >> depth & 1 else node.left
        assert isinstance(side, bytes)
        wanted = side
    raise TrieFault(Fault.MISSING_NODE, f"expected node 0x{wanted.hex()} after {len(path)} nodes, got no more")


def _value(leaf: Leaf, key: int, depth: int) -> tuple[Hash32, ...] | None:
    if (leaf.key ^ key) & ((1 << depth) - 1):
        raise TrieFault(Fault.OTHER_PATH, f"expected a key that shares {depth} bits with {key:#x}, got {leaf.key:#x}")
    # Where kroma-geth does not know a leaf's preimage, it writes the key that it was asked for, and the contract on L1
    # takes that.
    if leaf.preimage and leaf.preimage != key.to_bytes(32, "big") and key_of(leaf.preimage) != leaf.key:
        raise TrieFault(Fault.OTHER_PREIMAGE, f"0x{leaf.preimage.hex()} is not what key {leaf.key:#x} is made of")
    return leaf.words if leaf.key == key else None
