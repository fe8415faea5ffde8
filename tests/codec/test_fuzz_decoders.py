"""A short round of every fuzz target."""

from __future__ import annotations

import pytest

from tests.codec.fuzz_decoders import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_raises_nothing_but_decode_errors(name: str) -> None:
    fuzz(name, runs=3000, seed=7)
