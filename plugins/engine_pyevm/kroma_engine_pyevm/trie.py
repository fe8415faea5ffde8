"""The hexary Merkle-Patricia trie of accounts and of storage, over a store of nodes by hash.

Written for the way a block uses it: single reads while it runs, then all its changes at once. An update takes a sorted
batch, walks each touched node once, and hashes it once. Nodes are never deleted: every root that was ever written can
still be read. Keys are 32 bytes (hashes), so no branch holds a value.
Spec: yellow paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import Item, decode_list, encode_bytes, list_header
from kroma_core.errors import CriticalError
from kroma_core.types import Hash32

_NIBBLES = {digit: index for index, digit in enumerate("0123456789abcdef")}
_DIGITS = "0123456789abcdef"


@attrs.define(slots=True, eq=False)
class Leaf:
    """The end of a path. `path` is in hex digits."""

    path: str
    value: bytes


@attrs.define(slots=True, eq=False)
class Extension:
    """A stretch of path without a fork; its child is a branch."""

    path: str
    child: Reference


Branch: TypeAlias = "list[Reference]"
Node: TypeAlias = "Leaf | Extension | Branch"
Reference: TypeAlias = "bytes | Node | None"
"""A child: its hash, the node itself (inline, or changed and not yet hashed), or nothing."""

Change: TypeAlias = tuple[str, bytes]


class NodeStore(Protocol):
    """Where encoded nodes are kept by hash."""

    def get(self, key: bytes) -> bytes | None: ...


class NodeCache:
    """Decoded nodes, in front of a store: the younger half of those used last.

    Nodes are shared between callers and never changed in place.
    """

    def __init__(self, store: NodeStore, capacity: int = 60_000) -> None:
        self._store = store
        self._capacity = capacity // 2
        self._young: dict[bytes, Node] = {}
        self._old: dict[bytes, Node] = {}

    def load(self, node_hash: Hash32) -> Node:
        node = self._young.get(node_hash)
        if node is not None:
            return node
        node = self._old.get(node_hash)
        if node is None:
            raw = self._store.get(node_hash)
            if raw is None:
                raise CriticalError(f"state trie: node 0x{node_hash.hex()} is not in the store")
            node = _decode(raw)
        self.keep(node_hash, node)
        return node

    def keep(self, node_hash: Hash32, node: Node) -> None:
        if len(self._young) >= self._capacity:
            self._old = self._young
            self._young = {}
        self._young[node_hash] = node

    def encoded(self, node_hash: Hash32) -> bytes:
        """A node as it is hashed; for proofs."""
        raw = self._store.get(node_hash)
        if raw is None:
            raise CriticalError(f"state trie: node 0x{node_hash.hex()} is not in the store")
        return raw


def lookup(nodes: NodeCache, root: Hash32, key: Hash32) -> bytes:
    """The value at `key`, empty if there is none."""
    if root == EMPTY_ROOT:
        return b""
    digits = key.hex()
    depth = 0
    reference: Reference = root
    while reference is not None:
        node = nodes.load(reference) if isinstance(reference, bytes) else reference
        if isinstance(node, list):
            reference = node[_NIBBLES[digits[depth]]]
            depth += 1
        elif isinstance(node, Leaf):
            return node.value if digits[depth:] == node.path else b""
        else:
            assert isinstance(node, Extension)
            if not digits.startswith(node.path, depth):
                return b""
            depth += len(node.path)
            reference = node.child
    return b""


def prove(nodes: NodeCache, root: Hash32, key: Hash32) -> tuple[bytes, ...]:
    """The encoded nodes from the root towards `key`, as far as they go; inline nodes are inside their parents."""
    if root == EMPTY_ROOT:
        return ()
    proof: list[bytes] = []
    digits = key.hex()
    depth = 0
    reference: Reference = root
    while reference is not None:
        if isinstance(reference, bytes):
            proof.append(nodes.encoded(reference))
            node = nodes.load(reference)
        else:
            node = reference
        if isinstance(node, list):
            reference = node[_NIBBLES[digits[depth]]]
            depth += 1
        elif isinstance(node, Extension) and digits.startswith(node.path, depth):
            depth += len(node.path)
            reference = node.child
        else:
            break
    return tuple(proof)


def update(nodes: NodeCache, root: Hash32, changes: Mapping[Hash32, bytes], written: dict[Hash32, bytes]) -> Hash32:
    """The root after `changes` (an empty value deletes); new nodes are added to `written` and to the cache."""
    if not changes:
        return root
    batch = sorted([(key.hex(), value) for key, value in changes.items()])
    top = _changed(nodes, None if root == EMPTY_ROOT else root, batch, 0)
    if top is None:
        return EMPTY_ROOT
    if isinstance(top, bytes):
        return top
    encoded = _encode(nodes, top, written)
    top_hash = keccak256(encoded)
    written[top_hash] = encoded
    nodes.keep(top_hash, top)
    return top_hash


def _changed(nodes: NodeCache, reference: Reference, batch: Sequence[Change], depth: int) -> Reference:
    """What stands in the place of `reference` after the changes of `batch`, which share `depth` digits."""
    if reference is None:
        return _built([change for change in batch if change[1]], depth)
    node = nodes.load(reference) if isinstance(reference, bytes) else reference
    if isinstance(node, list):
        return _changed_branch(nodes, node, batch, depth)
    if isinstance(node, Leaf):
        return _changed_leaf(node, batch, depth)
    assert isinstance(node, Extension)
    path = node.path
    shared = min(_common(digits, depth, path) for digits in (batch[0][0], batch[-1][0]))
    if shared == len(path):
        child = _changed(nodes, node.child, batch, depth + shared)
        return _joined(nodes, path, child)
    rest = path[shared + 1 :]
    children: Branch = [None] * 16
    children[_NIBBLES[path[shared]]] = Extension(rest, node.child) if rest else node.child
    branch = _changed_branch(nodes, children, batch, depth + shared)
    return _joined(nodes, path[:shared], branch) if shared else branch


def _changed_branch(nodes: NodeCache, branch: Branch, batch: Sequence[Change], depth: int) -> Reference:
    children = branch.copy()
    start = 0
    count = len(batch)
    while start < count:
        digit = batch[start][0][depth]
        end = start + 1
        while end < count and batch[end][0][depth] == digit:
            end += 1
        index = _NIBBLES[digit]
        children[index] = _changed(nodes, children[index], batch[start:end], depth + 1)
        start = end
    left = [index for index, child in enumerate(children) if child is not None]
    if len(left) > 1:
        return children
    if not left:
        return None
    return _joined(nodes, _DIGITS[left[0]], children[left[0]])


def _changed_leaf(leaf: Leaf, batch: Sequence[Change], depth: int) -> Reference:
    own = batch[0][0][:depth] + leaf.path
    merged = [change for change in batch if change[1]]
    if all(digits != own for digits, _ in batch):
        merged.append((own, leaf.value))
        merged.sort()
    return _built(merged, depth)


def _joined(nodes: NodeCache, path: str, child: Reference) -> Reference:
    """`path` followed by `child`, in the one form that the trie has for it."""
    if child is None:
        return None
    node = nodes.load(child) if isinstance(child, bytes) else child
    if isinstance(node, Leaf):
        return Leaf(path + node.path, node.value)
    if isinstance(node, Extension):
        return Extension(path + node.path, node.child)
    return Extension(path, child)


def _common(digits: str, depth: int, path: str) -> int:
    """How many digits of `path` stand in `digits` from `depth` on."""
    if digits.startswith(path, depth):
        return len(path)
    shared = 0
    while digits[depth + shared] == path[shared]:
        shared += 1
    return shared


def _built(batch: Sequence[Change], depth: int) -> Reference:
    """A new subtree of `batch`, sorted, without deletions."""
    if not batch:
        return None
    first = batch[0][0]
    if len(batch) == 1:
        return Leaf(first[depth:], batch[0][1])
    last = batch[-1][0]
    fork = depth
    while first[fork] == last[fork]:
        fork += 1
    children: Branch = [None] * 16
    start = 0
    count = len(batch)
    while start < count:
        digit = batch[start][0][fork]
        end = start + 1
        while end < count and batch[end][0][fork] == digit:
            end += 1
        children[_NIBBLES[digit]] = _built(batch[start:end], fork + 1)
        start = end
    return Extension(first[depth:fork], children) if fork > depth else children


def _encode(nodes: NodeCache, node: Node, written: dict[Hash32, bytes]) -> bytes:
    """A node's encoding; changed children that are not inline are hashed, written, and replaced by their hash."""
    if isinstance(node, list):
        parts: list[bytes] = []
        for index, child in enumerate(node):
            if child is None:
                parts.append(b"\x80")
            elif isinstance(child, bytes):
                parts.append(b"\xa0" + child)
            else:
                part, reference = _reference(nodes, child, written)
                node[index] = reference
                parts.append(part)
        parts.append(b"\x80")
        payload = b"".join(parts)
    elif isinstance(node, Leaf):
        payload = _encode_path(node.path, "23") + encode_bytes(node.value)
    else:
        assert isinstance(node, Extension)
        child = node.child
        if isinstance(child, bytes):
            part = b"\xa0" + child
        else:
            assert child is not None
            part, node.child = _reference(nodes, child, written)
        payload = _encode_path(node.path, "01") + part
    return list_header(len(payload)) + payload


def _reference(nodes: NodeCache, node: Node, written: dict[Hash32, bytes]) -> tuple[bytes, Reference]:
    """How a parent names `node`: as an encoded item, and as it is kept in memory."""
    encoded = _encode(nodes, node, written)
    if len(encoded) < 32:
        return encoded, node
    node_hash = keccak256(encoded)
    written[node_hash] = encoded
    nodes.keep(node_hash, node)
    return b"\xa0" + node_hash, node_hash


def _encode_path(path: str, flags: str) -> bytes:
    """Hex-prefix encoding of a path as an RLP item; `flags` are the digits for even and odd length."""
    digits = flags[1] + path if len(path) & 1 else flags[0] + "0" + path
    return encode_bytes(bytes.fromhex(digits))


def _decode(raw: bytes) -> Node:
    """A node that this module wrote."""
    return _from_items(decode_list(raw))


def _from_items(items: list[Item]) -> Node:
    if len(items) == 17:
        return [_from_reference(item) for item in items[:16]]
    path, value = items
    assert isinstance(path, bytes)
    digits = path.hex()
    digits = digits[1:] if path[0] & 0x10 else digits[2:]
    if path[0] & 0x20:
        assert isinstance(value, bytes)
        return Leaf(digits, value)
    return Extension(digits, _from_reference(value))


def _from_reference(item: Item) -> Reference:
    if isinstance(item, list):
        return _from_items(item)
    assert isinstance(item, bytes)
    return item or None
