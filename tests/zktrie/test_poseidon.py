"""Poseidon: its constants and its two forms against each other, with Python's and with GMP's numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.errors import DecodeError
from kroma_core.zktrie.poseidon import hash_pair, permutation_head, poseidon
from kroma_core.zktrie.poseidon_pair import pair_hash
from kroma_core.zktrie.poseidon_parameters import MODULUS, PARTIAL_ROUNDS, parameters

ELEMENTS = st.integers(0, MODULUS - 1) | st.sampled_from([0, 1, MODULUS - 1])


def test_the_first_and_last_constants_of_three_elements_are_the_published_ones() -> None:
    """Of the authors' reference code (poseidonperm_x5_254_3), as in kroma-geth, crypto/poseidon/constants.go."""
    values = parameters(3)
    assert values.constants[0][0] == 0x0EE9A592BA9A9518D05986D656F40C2114C4993C11BB29938D21D47304CD8E6E
    assert values.constants[0][1] == 0x00F1445235F2148C5986587169FC1BCD887B08D4D00868DF5696FFF40956E864
    assert values.matrix[0][0] == 0x109B7F411BA0E4C9B2B70CAF5C36A7B194BE7C11AD24378BFEDB68592BA8118B
    assert len(values.constants) == 65


def test_the_hash_of_one_and_two_is_the_published_one() -> None:
    """go-iden3-crypto, poseidon_test.go."""
    expected = 7853200120776062878684798364095072458815029376092732009249414926327459813530
    assert poseidon([1, 2]) == expected
    assert permutation_head([0, 1, 2]) == expected


@settings(max_examples=25, deadline=None)
@given(ELEMENTS, ELEMENTS)
def test_the_fast_form_is_the_definition(left: int, right: int) -> None:
    assert pair_hash(int)(left, right) == hash_pair(left, right) == permutation_head([0, left, right])


def test_numbers_of_gmp_give_the_same_hashes_as_those_of_python() -> None:
    mpz = pytest.importorskip("gmpy2", reason="gmpy2 is not installed").mpz
    with_gmp, with_python = pair_hash(mpz), pair_hash(int)
    for at in range(50):
        left, right = pow(5, at * 97, MODULUS), MODULUS - 1 - at
        assert with_gmp(left, right) == with_python(left, right)
        assert type(with_gmp(left, right)) is int


@pytest.mark.parametrize("inputs", [[], [MODULUS, 1], [1, MODULUS], [-1, 1], [1] * 17])
def test_what_is_no_list_of_elements_is_refused(inputs: list[int]) -> None:
    with pytest.raises(DecodeError):
        poseidon(inputs)


def test_constants_of_every_width_are_invertible_field_elements() -> None:
    for width in (2, 17):
        values = parameters(width)
        assert len(values.constants) == 8 + PARTIAL_ROUNDS[width - 2]
        assert all(0 <= element < MODULUS for line in values.constants for element in line)
        assert all(0 < element < MODULUS for line in values.matrix for element in line)
