"""Marks everything in this folder `peers`, and fails what is run without the programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.programs import NAMES, program

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.peers)


@pytest.fixture(scope="session", autouse=True)
def _programs_are_built() -> None:
    """A missing program fails every test here, also one that would not come to need it."""
    for name in NAMES:
        program(name)
