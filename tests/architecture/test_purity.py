"""Derivation does no I/O, reads no clock, and awaits nothing: whoever drives it decides."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import CORE, imports_of, relative, tree_of

IMPURE = frozenset(
    {
        "trio", "anyio", "threading", "multiprocessing", "concurrent", "subprocess", "socket", "select", "signal",
        "time", "datetime", "random", "secrets", "os", "sys", "io", "pathlib", "shutil", "tempfile", "logging",
        "structlog", "warnings", "pluggy", "httpx", "web3", "sqlite3", "rocksdict", "ckzg", "eth", "rich",
    }
)  # fmt: skip
CALLS = frozenset({"open", "print", "input", "exec", "eval"})
FILES = sorted((CORE / "derive").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_derivation_imports_nothing_impure(path) -> None:  # type: ignore[no-untyped-def]  # parametrised
    assert [f"line {line}: {name}" for name, line in imports_of(path) if name.split(".")[0] in IMPURE] == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_derivation_awaits_and_prints_nothing(path) -> None:  # type: ignore[no-untyped-def]  # parametrised
    found = []
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                found.append(f"line {node.lineno}: async")
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                found.append(f"line {node.lineno}: {name}()")
            case ast.Global():
                found.append(f"line {node.lineno}: global")
    assert found == []
