"""Worlds that the tests of derivation run in: recorded chains of the project's own copy."""

from __future__ import annotations

import functools

from tests.derive.worlds import World
from tests.vectors.unit_files import OWN_VECTORS, find


@functools.lru_cache(maxsize=8)
def world(name: str) -> World:
    """A recorded world by its file's name, e.g. `op-chains/plain-delta`."""
    path = find(OWN_VECTORS, name)
    assert path is not None, f"{name} is missing in {OWN_VECTORS}"
    return World(path)
