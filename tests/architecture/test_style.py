"""What a reader may count on in every file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.sources import CORE, ROOT, core_files, plugin_files, plugin_folders, relative, tree_of

LONGEST = 450
BORDERS = (
    "border: observer call",
    "border: shadow task",
    "border: cli",
    "border: forced transaction",
    "border: rpc request",
)
BROAD = ("Exception", "BaseException")
FORK_NAMES_ALLOWED = (
    "kroma_core/forks.py",
    "kroma_core/chain/",
    "kroma_core/derive/upgrades.py",
    "kroma_core/testing/",
)
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "managers"})
CLASS_NAMES = re.compile(r"^Base(?!Fee)|Impl$|Manager$|API$|^Abstract")

FILES = [*core_files(), *plugin_files()]


def test_no_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in FILES}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_names_mean_something() -> None:
    modules = [relative(path) for path in FILES if path.stem in EMPTY_NAMES or path.parent.name in EMPTY_NAMES]
    classes = [
        f"{relative(path)}: {node.name}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and CLASS_NAMES.search(node.name)
    ]
    assert modules + classes == []


def test_every_module_says_what_it_is() -> None:
    assert [relative(path) for path in FILES if not ast.get_docstring(tree_of(path)) and path.read_text().strip()] == []


def test_broad_handlers_stand_at_the_marked_borders_only() -> None:
    marks = []
    for path in FILES:
        lines = path.read_text().splitlines()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _raises_again(node):
                mark = lines[node.lineno - 1].partition("# ")[2]
                assert mark in BORDERS, f"{relative(path)}:{node.lineno}"
                marks.append(mark)
    assert len(marks) == len(set(marks))


def _is_broad(handler: ast.ExceptHandler) -> bool:
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(name is None or (isinstance(name, ast.Name) and name.id in BROAD) for name in names)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler only tidies up and lets the error go on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_forks_are_named_only_where_rules_are_made() -> None:
    found = [
        f"{relative(path)}:{node.lineno}: Fork.{node.attr}"
        for path in FILES
        if not relative(path).startswith(FORK_NAMES_ALLOWED)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Fork"
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    found = [
        f"{relative(path)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mark.search(line)
    ]
    assert found == []


def test_every_folder_of_plugins_is_a_distribution_that_requirements_list() -> None:
    required = (ROOT / "requirements.txt").read_text()
    for folder in plugin_folders():
        package = folder / f"kroma_{folder.name}"
        wanted: list[Path] = [folder / "README.md", package / "__init__.py", package / "py.typed", folder / "tests"]
        assert [relative(path) for path in wanted if not path.exists()] == []
        assert "kroma.plugins" in (folder / "pyproject.toml").read_text()
        assert f"-e plugins/{folder.name}\n" in required


def test_pins_are_plain_versions() -> None:
    pins = (ROOT / "constraints.txt").read_text().split()
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", pin)] == []


def test_the_packages_are_typed() -> None:
    assert (CORE / "py.typed").exists()
