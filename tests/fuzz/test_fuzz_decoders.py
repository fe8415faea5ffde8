"""A short round of every fuzz target of derivation's first half (the codecs' have their own)."""

from __future__ import annotations

import pytest

from tests.fuzz.derive_targets import targets
from tests.fuzz.fuzz_decoders import fuzz

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_data_is_answered_with_a_value(name: str) -> None:
    fuzz(name, TARGETS[name], runs=1000, seed=7)
