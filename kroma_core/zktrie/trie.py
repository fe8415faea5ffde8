"""The trie over a store of nodes by hash: single reads, and all changes of a block at once.

Its shape depends on its content alone: a leaf stands as high as it can, below the first step that no other key shares.
So a deletion lifts a leaf that is left alone with its deleted neighbour past all empty sides, while a neighbour that is
a parent stays where it is, at any depth. An update walks and hashes each touched node once. Nodes are never deleted:
every root that was ever written can still be read.
Spec: zktrie, trie/zk_trie_impl.go; kroma, postmortems/2024-03-12-zktrie-incident.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from kroma_core.errors import CriticalError
from kroma_core.types import Hash32
from kroma_core.zktrie.nodes import EMPTY_ROOT, ENCODED_EMPTY, MAX_DEPTH, Leaf, Node, Parent, Reference, decode_node
from kroma_core.zktrie.proof import MAGIC

Change: TypeAlias = tuple[int, Leaf | None]


class NodeStore(Protocol):
    """Where encoded nodes are kept by hash."""

    def get(self, key: Hash32) -> bytes | None: ...


class NodeCache:
    """Decoded nodes, in front of a store: the younger half of those used last.

    Nodes are shared between callers and never changed in place.
    """

    def __init__(self, store: NodeStore, capacity: int = 60_000) -> None:
        self._store = store
        self._capacity = capacity // 2
        self._young: dict[Hash32, Node] = {}
        self._old: dict[Hash32, Node] = {}

    def load(self, node_hash: Hash32) -> Node:
        """Raises `CriticalError` where the store does not have the node."""
        node = self._young.get(node_hash)
        if node is not None:
            return node
        node = self._old.get(node_hash)
        if node is None:
            raw = self._store.get(node_hash)
            node = None if raw is None else decode_node(raw)
            if node is None:
                raise CriticalError(f"zk trie: node 0x{node_hash.hex()} is not in the store")
        self.keep(node_hash, node)
        return node

    def keep(self, node_hash: Hash32, node: Node) -> None:
        if len(self._young) >= self._capacity:
            self._old = self._young
            self._young = {}
        self._young[node_hash] = node


def lookup(nodes: NodeCache, root: Hash32, key: int) -> Leaf | None:
    """The leaf at `key`, None if there is none."""
    reference: Reference = root
    depth = 0
    while reference != EMPTY_ROOT:
        node = _loaded(nodes, reference)
        if isinstance(node, Leaf):
            return node if node.key == key else None
        reference = node.right if key >> depth & 1 else node.left
        depth += 1
    return None


def prove(nodes: NodeCache, root: Hash32, key: int) -> tuple[bytes, ...]:
    """The encoded nodes from the root to where `key` is or would be, the last one empty or a leaf, and the magic."""
    proof: list[bytes] = []
    reference: Reference = root
    while reference != EMPTY_ROOT:
        node = _loaded(nodes, reference)
        proof.append(node.encode())
        if isinstance(node, Leaf):
            return (*proof, MAGIC)
        reference = node.right if key >> (len(proof) - 1) & 1 else node.left
    return (*proof, ENCODED_EMPTY, MAGIC)


def leaves(nodes: NodeCache, root: Hash32, after: int | None = None) -> Iterator[Leaf]:
    """All leaves in the order of their paths (lowest bit of the key first); with `after`, those beyond that key."""
    waiting: list[tuple[Reference, int, bool]] = [(root, 0, after is not None)]
    while waiting:
        reference, depth, bounded = waiting.pop()
        if reference == EMPTY_ROOT:
            continue
        node = _loaded(nodes, reference)
        if isinstance(node, Leaf):
            if after is None or not bounded or _follows(node.key, after):
                yield node
        elif after is not None and bounded and after >> depth & 1:
            waiting.append((node.right, depth + 1, True))
        else:
            waiting.append((node.right, depth + 1, False))
            waiting.append((node.left, depth + 1, bounded))


def update(nodes: NodeCache, root: Hash32, changes: Mapping[int, Leaf | None], written: dict[Hash32, bytes]) -> Hash32:
    """The root after `changes` by key (None deletes); new nodes are added to `written` and to the cache.

    Raises `TrieFault` where a value cannot be hashed: a word of it that is not split is no field element.
    """
    if not changes:
        return root
    return _hashed(nodes, _changed(nodes, root, list(changes.items()), 0), written)


def root_of(content: Iterable[Leaf]) -> Hash32:
    """The root of a trie of these leaves, whose keys differ."""
    return _hashed(None, _built(list(content), 0), {})


def _loaded(nodes: NodeCache, reference: Reference) -> Node:
    return nodes.load(reference) if isinstance(reference, bytes) else reference


def _follows(key: int, other: int) -> bool:
    """Whether the path of `key` comes after that of `other`."""
    differing = key ^ other
    return bool(key & differing & -differing)


def _changed(nodes: NodeCache, reference: Reference, batch: Sequence[Change], depth: int) -> Reference:
    """What stands in the place of `reference` after the changes of `batch`, whose keys share `depth` bits."""
    if reference == EMPTY_ROOT:
        return _built([leaf for _, leaf in batch if leaf is not None], depth)
    node = _loaded(nodes, reference)
    if isinstance(node, Leaf):
        return _changed_leaf(reference, node, batch, depth)
    left_batch = [change for change in batch if not change[0] >> depth & 1]
    right_batch = [change for change in batch if change[0] >> depth & 1]
    left = _changed(nodes, node.left, left_batch, depth + 1) if left_batch else node.left
    right = _changed(nodes, node.right, right_batch, depth + 1) if right_batch else node.right
    if left is node.left and right is node.right:
        return reference
    for lone, other in ((left, right), (right, left)):
        if other == EMPTY_ROOT and (lone == EMPTY_ROOT or isinstance(_loaded(nodes, lone), Leaf)):
            return lone
    return Parent(left, right)


def _changed_leaf(reference: Reference, own: Leaf, batch: Sequence[Change], depth: int) -> Reference:
    content = [leaf for _, leaf in batch if leaf is not None and (leaf.key != own.key or leaf.words != own.words)]
    if all(key != own.key or (leaf is not None and leaf.words == own.words) for key, leaf in batch):
        content.append(own)
    return reference if content == [own] else _built(content, depth)


def _built(content: Sequence[Leaf], depth: int) -> Reference:
    """A new subtree of leaves whose keys share `depth` bits and differ in a later one."""
    if len(content) < 2:
        return content[0] if content else EMPTY_ROOT
    if depth >= MAX_DEPTH - 1:
        raise CriticalError(f"zk trie: keys {content[0].key:#x} and {content[1].key:#x} share {depth} bits")
    left = [leaf for leaf in content if not leaf.key >> depth & 1]
    right = [leaf for leaf in content if leaf.key >> depth & 1]
    return Parent(_built(left, depth + 1), _built(right, depth + 1))


def _hashed(nodes: NodeCache | None, reference: Reference, written: dict[Hash32, bytes]) -> Hash32:
    """The hash of a changed node, after those below it; each is written, and replaced by its hash in its parent."""
    if isinstance(reference, bytes):
        return reference
    if isinstance(reference, Parent):
        reference.left = _hashed(nodes, reference.left, written)
        reference.right = _hashed(nodes, reference.right, written)
    node_hash = reference.hash
    written[node_hash] = reference.encode()
    if nodes is not None:
        nodes.keep(node_hash, reference)
    return node_hash
