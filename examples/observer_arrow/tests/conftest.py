"""Tells `pytest --kroma-conformance kind=arrow` how the part is opened."""

from __future__ import annotations

from maker import Maker


def pytest_kroma_maker(role: str, kind: str) -> type | None:
    return Maker if (role, kind) == ("observe", "arrow") else None
