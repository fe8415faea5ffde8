"""Poseidon's parameters: the field, the numbers of rounds, and the round constants and matrices of each width.

The constants are not a table: a shift register, seeded with the parameters themselves, puts them out.
Spec: "Poseidon: A New Hash Function for Zero-Knowledge Proof Systems" (eprint 2019/458), appendices E and F.
"""

from __future__ import annotations

import functools
import itertools

import attrs

MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of BN254's group: the field that hashes and their inputs are elements of."""
FIELD_BITS = 254
FULL_ROUNDS = 8
PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)
"""By width, from 2 on."""
_REGISTER = 80
_TAPS = (0, 13, 23, 38, 51, 62)
_DISCARDED = 160


@attrs.frozen(kw_only=True)
class Parameters:
    """What a permutation of one width uses: constants by round and place, and the matrix by row."""

    partial_rounds: int
    constants: tuple[tuple[int, ...], ...]
    matrix: tuple[tuple[int, ...], ...]


@functools.cache
def parameters(width: int) -> Parameters:
    """The parameters of a width of 2 to 17 elements. Takes some hundredths of a second the first time."""
    partial = PARTIAL_ROUNDS[width - 2]
    rounds = FULL_ROUNDS + partial
    elements = _Elements(width, partial)
    constants = [elements.below_modulus() for _ in range(rounds * width)]
    rows = [elements.any() % MODULUS for _ in range(width)]
    columns = [elements.any() % MODULUS for _ in range(width)]
    return Parameters(
        partial_rounds=partial,
        constants=tuple([tuple(constants[at : at + width]) for at in range(0, len(constants), width)]),
        matrix=tuple([tuple([pow(row + column, -1, MODULUS) for column in columns]) for row in rows]),
    )


class _Elements:
    """The output of the Grain shift register as numbers of the field's size, most significant bit first."""

    def __init__(self, width: int, partial_rounds: int) -> None:
        # prime field, S-box x^5, bits of the field, width, rounds, and ones up to the register's length
        seed = f"010000{FIELD_BITS:012b}{width:012b}{FULL_ROUNDS:010b}{partial_rounds:010b}{'1' * 30}"
        need = 2 * FIELD_BITS * ((FULL_ROUNDS + partial_rounds) * width + 2 * width)
        self._bits = _shrunk(_register_output(int(seed[::-1], 2), 3 * need)[_DISCARDED:])
        self._at = 0

    def any(self) -> int:
        bits = self._bits[self._at : self._at + FIELD_BITS]
        assert len(bits) == FIELD_BITS
        self._at += FIELD_BITS
        return int(bits, 2)

    def below_modulus(self) -> int:
        while True:
            element = self.any()
            if element < MODULUS:
                return element


def _register_output(state: int, count: int) -> str:
    """At least `count` bits that the register puts out after its seed, the first at the left.

    `state` holds the bits so far, the first in the lowest place. Each is the sum of earlier ones at fixed distances;
    in the field of two elements the same holds at distances that are doubled, so that each pass may double its stride.
    """
    known, stride = _REGISTER, 1
    while known < count + _REGISTER:
        while known >= 2 * _REGISTER * stride:
            stride *= 2
        reach, ahead = _REGISTER * stride, (_REGISTER - _TAPS[-1]) * stride
        last = state >> (known - reach)
        fresh = 0
        for tap in _TAPS:
            fresh ^= last >> (tap * stride)
        state |= (fresh & ((1 << ahead) - 1)) << known
        known += ahead
    return f"{state:0{known}b}"[::-1][_REGISTER:]


def _shrunk(bits: str) -> str:
    """Of each pair of bits the second where the first is 1; nothing where it is 0."""
    chosen = map(int, bits[0::2])
    return "".join(itertools.compress(bits[1::2], chosen))
