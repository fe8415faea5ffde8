"""Poseidon over BN254's scalar field, with a capacity of one element that begins as zero.

Nearly everything that the ZK trie hashes is a pair, so the permutation of three elements has a form of its own,
`poseidon_pair`. Which numbers it computes with is chosen here: GMP's where gmpy2 is installed, otherwise Python's.
Spec: eprint 2019/458; kroma-geth, crypto/poseidon (`HashFixed`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from kroma_core.errors import DecodeError
from kroma_core.zktrie.poseidon_pair import PairHash, pair_hash
from kroma_core.zktrie.poseidon_parameters import FULL_ROUNDS, MODULUS, PARTIAL_ROUNDS, parameters

try:
    from gmpy2 import mpz as _fastest  # type: ignore[import-untyped]  # has no type information
except ImportError:
    _fastest = int

_HALF = FULL_ROUNDS // 2
_REMEMBERED = 16_384
"""Hashes (5 MB). The genesis of a Kroma chain has some 5 000."""


def poseidon(inputs: Sequence[int]) -> int:
    """The hash of 1 to 16 field elements. Raises `DecodeError` where one is not below the modulus."""
    if not 1 <= len(inputs) <= len(PARTIAL_ROUNDS):
        raise DecodeError(f"poseidon: expected 1 to {len(PARTIAL_ROUNDS)} elements, got {len(inputs)}")
    for element in inputs:
        expect_element(element, "poseidon input")
    if len(inputs) == 2:
        return hash_pair(*inputs)
    return permutation_head([0, *inputs])


def expect_element(element: int, what: str) -> None:
    """Raises `DecodeError` unless `element` is one of the field."""
    if not 0 <= element < MODULUS:
        raise DecodeError(f"{what}: expected a field element below {MODULUS}, got {element}")


@functools.lru_cache(maxsize=_REMEMBERED)
def hash_pair(left: int, right: int) -> int:
    """The hash of two field elements; that they are below the modulus is up to the caller.

    The last ones are remembered: a chain's genesis is hashed when its files are read, and by each part that needs its
    state.
    """
    return fastest_pair_hash()(left, right)


@functools.cache
def fastest_pair_hash() -> PairHash:
    """`hash_pair` itself, for loops; the constants are made at the first call."""
    return pair_hash(_fastest)


def permutation_head(state: Sequence[int]) -> int:
    """The first element of the permuted state, as the definition has it: each round the same way, of any width."""
    width = len(state)
    values = parameters(width)
    last = len(values.constants) - _HALF
    row: list[int] = list(state)
    for number, constants in enumerate(values.constants):
        row = [element + constant for element, constant in zip(row, constants, strict=True)]
        boxed = width if number < _HALF or number >= last else 1
        row[:boxed] = [pow(element, 5, MODULUS) for element in row[:boxed]]
        row = [sum([a * b for a, b in zip(line, row, strict=True)]) % MODULUS for line in values.matrix]
    return row[0]
