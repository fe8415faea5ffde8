"""Every cause that can be named is documented, and has a prepared situation."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import CORE, ROOT

SOURCES = [CORE / "node" / "explain" / f"{name}.py" for name in ("stall", "data_causes")]
NOT_ALONE = frozenset({"window"})
"""A fact beside a cause."""


def named() -> set[str]:
    """The first argument of every `Cause`, and what is assigned to `code` before it."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Cause":
                found |= _texts(node.args[0])
            elif isinstance(node, ast.Assign) and any("code" in ast.unparse(target) for target in node.targets):
                value = node.value
                found |= _texts(value.elts[0] if isinstance(value, ast.Tuple) else value)
                if isinstance(value, ast.IfExp):
                    for side in (value.body, value.orelse):
                        found |= _texts(side.elts[0] if isinstance(side, ast.Tuple) else side)
    return {code for code in found if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code)}


def _texts(node: ast.expr) -> set[str]:
    if isinstance(node, ast.IfExp):
        return _texts(node.body) | _texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_the_causes_are_found_in_the_source() -> None:
    assert {"batch_dropped", "engine_syncing", "future_batch", "foreign_batch", "retrying", "l1_stale"} <= named()


@pytest.mark.parametrize("code", sorted(named() - NOT_ALONE))
def test_every_cause_is_documented_and_tried(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "explain.md").read_text()
    tests = [*Path(__file__).parent.glob("test_*.py"), *(ROOT / "tests" / "actions").glob("test_*.py")]
    assert any(f'"{code}"' in path.read_text() for path in tests if path != Path(__file__))
