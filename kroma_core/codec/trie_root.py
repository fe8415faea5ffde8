"""Roots of Merkle-Patricia tries, computed in one pass over sorted keys, without a database.

For roots that are only compared: transactions, receipts, withdrawals, and the state of a genesis block.
Spec: yellow paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode_bytes, encode_int, list_header
from kroma_core.types import Hash32

_NIBBLES = "0123456789abcdef"
_EMPTY_CHILDREN = [b"\x80"] * 16


def ordered_root(items: Sequence[bytes]) -> Hash32:
    """Root of the trie that maps the RLP of each index to its item: transaction, receipt and withdrawal lists.

    A trie cannot hold an empty value: an empty item leaves its index out.
    """
    count = len(items)
    # Sorted by key: 1..127 are their own encoding, 0 is 0x80, the rest follow in order.
    order = [*range(1, min(count, 128)), 0, *range(128, count)] if count else []
    if b"" in items:
        order = [index for index in order if items[index]]
    if not order:
        return EMPTY_ROOT
    keys = [encode_int(index).hex() for index in order]
    return _root(keys, [items[index] for index in order])


def trie_root(pairs: Iterable[tuple[bytes, bytes]]) -> Hash32:
    """Root of the trie of these key and value pairs, in any order; keys are used as they are (not hashed).

    An empty value is an absent key. A key that comes twice has its last value.
    """
    found = sorted((key.hex(), value) for key, value in dict(pairs).items() if value)
    if not found:
        return EMPTY_ROOT
    return _root([key for key, _ in found], [value for _, value in found])


def _root(keys: list[str], values: list[bytes]) -> Hash32:
    return keccak256(_node(keys, values, 0, len(keys), 0))


def _path(nibbles: str, leaf: bool) -> bytes:
    """Hex-prefix encoding of a path, as an RLP item."""
    flag = 2 if leaf else 0
    if len(nibbles) & 1:
        return encode_bytes(bytes.fromhex(f"{flag + 1}{nibbles}"))
    return encode_bytes(bytes.fromhex(f"{flag}0{nibbles}"))


def _reference(node: bytes) -> bytes:
    """How a parent names a node: the node itself where it is shorter than a hash."""
    return node if len(node) < 32 else b"\xa0" + keccak256(node)


def _leaf(nibbles: str, value: bytes) -> bytes:
    payload = _path(nibbles, True) + encode_bytes(value)
    return list_header(len(payload)) + payload


def _node(keys: list[str], values: list[bytes], low: int, high: int, depth: int) -> bytes:
    """Encoding of the node that holds keys `low` to `high`, which share their first `depth` nibbles."""
    if high - low == 1:
        return _leaf(keys[low][depth:], values[low])
    first, last = keys[low], keys[high - 1]
    fork = depth
    shortest = min(len(first), len(last))
    while fork < shortest and first[fork] == last[fork]:
        fork += 1
    children = _EMPTY_CHILDREN.copy()
    value = b"\x80"
    start = low
    if len(first) == fork:
        value = encode_bytes(values[low])
        start += 1
    below = fork + 1
    while start < high:
        nibble = keys[start][fork]
        end = start + 1
        while end < high and keys[end][fork] == nibble:
            end += 1
        if end - start == 1:
            node = _leaf(keys[start][below:], values[start])
        else:
            node = _node(keys, values, start, end, below)
        children[_NIBBLES.index(nibble)] = node if len(node) < 32 else b"\xa0" + keccak256(node)
        start = end
    payload = b"".join(children) + value
    branch = list_header(len(payload)) + payload
    if fork == depth:
        return branch
    payload = _path(first[depth:fork], False) + _reference(branch)
    return list_header(len(payload)) + payload
