"""Merkle-Patricia proofs: what a key maps to in a trie of which only the root is known.

Spec: yellow paper, appendix D; EIP-1186.
"""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import Item, decode_list
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32

_BRANCH = 17
_SHORT = 2
_EVEN_LEAF, _ODD_LEAF = 2, 3


def proven(root: Hash32, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The value at `key` in the trie with this root, None where the proof shows that there is none.

    `nodes` stand from the root down, without those that lie inside their parent. `key` is used as it is (hash the keys
    of state and storage tries first). Raises `DecodeError` where the nodes prove neither: one does not hash to what
    points to it, is missing, is malformed, or is too many.
    """
    path = key.hex()
    if root == EMPTY_ROOT:
        _expect_end(nodes, 0)
        return None
    wanted: Item = root
    used = 0
    while True:
        if isinstance(wanted, bytes):
            if len(wanted) != 32:
                raise DecodeError(f"trie proof: expected a node's hash of 32 bytes, got {len(wanted)}")
            if used == len(nodes):
                raise DecodeError(f"trie proof: expected node 0x{wanted.hex()} after {used} nodes, got no more")
            if keccak256(nodes[used]) != wanted:
                got = keccak256(nodes[used]).hex()
                raise DecodeError(f"trie proof: expected node {used} to hash to 0x{wanted.hex()}, got 0x{got}")
            node: list[Item] = decode_list(nodes[used])
            used += 1
        else:
            node = wanted
        found = _step(node, path)
        if not isinstance(found, tuple):
            _expect_end(nodes, used)
            return found or None
        path, wanted = found


def _step(node: list[Item], path: str) -> tuple[str, Item] | bytes:
    """Where a node leads: the rest of the path and the next node; or the value at the end, empty for none."""
    if len(node) == _BRANCH:
        if not path:
            return _value(node[16])
        child = node[int(path[0], 16)]
        return b"" if child == b"" else (path[1:], child)
    if len(node) != _SHORT:
        raise DecodeError(f"trie proof: expected a node of 2 or 17 items, got {len(node)}")
    encoded, below = node
    if not isinstance(encoded, bytes) or not encoded or encoded[0] >> 4 > _ODD_LEAF:
        raise DecodeError("trie proof: expected a path in hex-prefix encoding")
    flag = encoded[0] >> 4
    nibbles = encoded.hex()[1 if flag & 1 else 2 :]
    if flag in (_EVEN_LEAF, _ODD_LEAF):
        return _value(below) if nibbles == path else b""
    if not nibbles:
        raise DecodeError("trie proof: expected an extension of at least one nibble")
    return (path[len(nibbles) :], below) if path.startswith(nibbles) else b""


def _value(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise DecodeError("trie proof: expected a value, got a list")
    return item


def _expect_end(nodes: Sequence[bytes], used: int) -> None:
    if used != len(nodes):
        raise DecodeError(f"trie proof: expected {used} nodes, got {len(nodes)}")
