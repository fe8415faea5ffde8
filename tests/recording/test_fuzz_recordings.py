"""A short round of every fuzz target of the readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recording.fuzz_recordings import TARGETS


@pytest.mark.parametrize(("name", "runs"), [("row", 3000), ("vector", 150_000), ("database", 100_000)])
def test_mutated_recordings_raise_nothing_but_their_error(name: str, runs: int, tmp_path: Path) -> None:
    TARGETS[name](runs, 7, tmp_path)
