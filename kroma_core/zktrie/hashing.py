"""How keys, values and nodes of the ZK trie are hashed, down to Poseidon of pairs.

Words are 32 bytes and may be above the field's modulus: those that may be are hashed as two halves of 16 bytes.
Spec: zktrie, types/README.md.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from kroma_core.types import Hash32
from kroma_core.zktrie.faults import Fault, TrieFault
from kroma_core.zktrie.poseidon import hash_pair
from kroma_core.zktrie.poseidon_parameters import MODULUS

_HALF = 16
_CACHED_KEYS = 1 << 16


def element(word: bytes, what: str) -> int:
    """A word as a field element. Raises `TrieFault` where it is not below the modulus."""
    number = int.from_bytes(word, "big")
    if number >= MODULUS:
        raise TrieFault(Fault.NOT_AN_ELEMENT, f"{what}: expected a number below {MODULUS}, got 0x{word.hex()}")
    return number


def split_hash(word: Hash32) -> int:
    """Hash of a word that need not be a field element."""
    return hash_pair(int.from_bytes(word[:_HALF], "big"), int.from_bytes(word[_HALF:], "big"))


@functools.lru_cache(_CACHED_KEYS)
def key_of(preimage: bytes) -> int:
    """The key under which an address or a storage slot stands; its lowest bit is the first step from the root."""
    return split_hash(preimage.ljust(32, b"\0"))


@functools.lru_cache(_CACHED_KEYS)
def _leaf_prefix(key: int) -> int:
    return hash_pair(1, key)


def leaf_hash(key: int, value: int) -> int:
    """Hash of a leaf, of its key and the hash of its value."""
    return hash_pair(_leaf_prefix(key), value)


def hash_elements(elements: Sequence[int]) -> int:
    """Hash of two or more elements: of the first two, and then with those of the others in pairs (an odd one alone)."""
    first, second, *others = elements
    joined = hash_pair(first, second)
    if not others:
        return joined
    pairs = [others[at : at + 2] for at in range(0, len(others), 2)]
    return hash_elements([joined, *(hash_pair(*pair) if len(pair) == 2 else pair[0] for pair in pairs)])


def value_hash(flags: int, words: Sequence[Hash32]) -> int:
    """Hash of a value's words; those whose bit is set in `flags` are split. Raises `TrieFault`."""
    elements = [
        split_hash(word) if flags >> at & 1 else element(word, f"word {at} of a value") for at, word in enumerate(words)
    ]
    return hash_elements(elements) if len(elements) > 1 else elements[0]
