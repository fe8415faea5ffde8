"""Tries in memory that the tests grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kroma_core.types import Hash32
from kroma_core.zktrie.accounts import storage_leaf
from kroma_core.zktrie.hashing import key_of
from kroma_core.zktrie.nodes import EMPTY_ROOT, Leaf
from kroma_core.zktrie.trie import NodeCache, lookup, prove, update


def slot(number: int) -> Hash32:
    return number.to_bytes(32, "big")


class Storage:
    """A storage trie by slot number, with all nodes that it ever had."""

    def __init__(self, words: Mapping[int, int] | None = None) -> None:
        self.stored: dict[Hash32, bytes] = {}
        self.nodes = NodeCache(self.stored)
        self.root = EMPTY_ROOT
        self.put(words or {})

    def put(self, words: Mapping[int, int]) -> Hash32:
        """Set slots at once; zero deletes. Gives the new root."""
        changes: dict[int, Leaf | None] = {key_of(slot(at)): storage_leaf(slot(at), word) for at, word in words.items()}
        self.root = update(self.nodes, self.root, changes, self.stored)
        return self.root

    def get(self, at: int) -> int:
        leaf = lookup(self.nodes, self.root, key_of(slot(at)))
        return 0 if leaf is None else int.from_bytes(leaf.words[0], "big")

    def prove(self, at: int) -> tuple[bytes, ...]:
        return prove(self.nodes, self.root, key_of(slot(at)))


def bare_leaves(keys: Iterable[int]) -> list[Leaf]:
    """Leaves at chosen keys, whose preimages nobody knows."""
    return [Leaf(key, (slot(7),)) for key in keys]
