"""Options that every test run understands."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        type=Path,
        default=None,
        metavar="DIR",
        help="take the vectors from DIR (same layout as tests/vectors/data) instead of the project's copy",
    )
    parser.addoption("--all", action="store_true", default=False, help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    given: Path | None = config.getoption("--vectors")
    if given is not None and not any(given.glob("*-*/*.json*")):
        raise pytest.UsageError(f"--vectors {given}: no vectors there; expected folders such as op-chains and op-units")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is slow without `--all`, and what needs real programs unless `-m` asks for it."""
    left_out = [name for name in ("slow",) if not config.getoption("--all")]
    left_out += [name for name in ("peers",) if name not in config.getoption("-m")]
    found = [item for item in items if any(name in item.keywords for name in left_out)]
    config.hook.pytest_deselected(items=found)
    items[:] = [item for item in items if not any(name in item.keywords for name in left_out)]
