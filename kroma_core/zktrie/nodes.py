"""The nodes of a ZK trie and their encoding, which stands in proofs and in the store.

`00 left right`, `01 key mark words preimage` and `02` are a parent, a leaf and the empty node. A leaf's mark says which
of its words are hashed in halves and how many they are, and its preimage is the address or slot that its key was made
of, where it is known. The hash of a leaf does not cover the preimage.
Spec: zktrie, types/README.md; kroma, NodeReader.sol.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from kroma_core.types import ZERO_HASH, Hash32
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.hashing import element, leaf_hash, value_hash
from kroma_core.zktrie.poseidon import hash_pair

EMPTY_ROOT: Hash32 = ZERO_HASH
"""The hash of nothing: of an empty trie, and of a parent's empty side."""
MAX_DEPTH = 248
"""Nodes that can stand on one path, root and leaf included."""
ENCODED_EMPTY = b"\x02"
_WORD = 32
_MARKS = {1: (1).to_bytes(3, "little"), 4: (4).to_bytes(3, "little")}
"""Flags of the two kinds of value, by their number of words: storage (its one word in halves), account (its third)."""


@attrs.frozen(eq=False)
class Leaf:
    """A value and the key where it stands. `preimage` is 32 bytes, or empty where it is not known."""

    key: int
    words: tuple[Hash32, ...]
    preimage: bytes = b""

    @property
    def hash(self) -> Hash32:
        """Raises `TrieFault` where a word that is not split is no field element."""
        count = len(self.words)
        return leaf_hash(self.key, value_hash(count, self.words)).to_bytes(_WORD, "big")

    def encode(self) -> bytes:
        count = len(self.words)
        return b"".join(
            (
                b"\x01",
                self.key.to_bytes(_WORD, "big"),
                bytes((count,)),
                _MARKS[count],
                *self.words,
                bytes((len(self.preimage),)),
                self.preimage,
            )
        )


@attrs.define(eq=False)
class Parent:
    """A fork of the path. A side is a hash; in a changed trie that is not hashed yet also the node itself."""

    left: Reference
    right: Reference

    @property
    def hash(self) -> Hash32:
        """Only of a parent whose sides are hashes."""
        assert isinstance(self.left, bytes)
        assert isinstance(self.right, bytes)
        return hash_pair(int.from_bytes(self.left, "big"), int.from_bytes(self.right, "big")).to_bytes(_WORD, "big")

    def encode(self) -> bytes:
        assert isinstance(self.left, bytes)
        assert isinstance(self.right, bytes)
        return b"\0" + self.left + self.right


Node: TypeAlias = "Leaf | Parent"
Reference: TypeAlias = "Hash32 | Node"


def decode_node(raw: bytes) -> Node | None:
    """A node from its encoding, None for the empty one. Raises `TrieFault` for anything but the one form of a node."""
    if raw == ENCODED_EMPTY:
        return None
    if raw[:1] == b"\0":
        if len(raw) != 1 + 2 * _WORD:
            raise TrieFault(Fault.MALFORMED, f"expected a parent of {1 + 2 * _WORD} bytes, got {len(raw)}")
        left, right = raw[1 : 1 + _WORD], raw[1 + _WORD :]
        element(left, "left side of a parent")
        element(right, "right side of a parent")
        return Parent(left, right)
    if raw[:1] == b"\x01":
        return _decode_leaf(raw)
    raise TrieFault(Fault.MALFORMED, f"expected a node of type 0, 1 or 2, got 0x{raw[:40].hex()}")


def _decode_leaf(raw: bytes) -> Leaf:
    count, flags = raw[33:34], raw[34:37]
    words = count[0] if count else 0
    if _MARKS.get(words) != flags:
        raise TrieFault(Fault.NOT_CANONICAL, f"expected a leaf's mark 01010000 or 04040000, got {raw[33:37].hex()}")
    end = 37 + words * _WORD
    size = raw[end] if len(raw) > end else 0
    if size not in (0, _WORD) or len(raw) != end + 1 + size:
        raise TrieFault(
            Fault.MALFORMED, f"expected a leaf of {end + 1} or {end + 1 + _WORD} bytes, its preimage none or 32"
        )
    return Leaf(
        element(raw[1:33], "key of a leaf"),
        tuple([raw[at : at + _WORD] for at in range(37, end, _WORD)]),
        raw[end + 1 :],
    )
