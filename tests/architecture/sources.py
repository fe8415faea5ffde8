"""The project's own source files, and what they import."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "kroma_core"
PLUGINS = ROOT / "plugins"


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def plugin_folders() -> list[Path]:
    return sorted(path.parent for path in PLUGINS.glob("*/pyproject.toml"))


def plugin_files() -> list[Path]:
    """Sources of all plugins, without their tests."""
    return sorted(path for folder in plugin_folders() for path in folder.glob("kroma_*/**/*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names that a file imports, with the line: modules, and for `from a import b` also `a.b`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: relative import"
            module = node.module or ""
            yield module, node.lineno
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def part_of(path: Path) -> str:
    """The part of core that a file belongs to: `derive` for kroma_core/derive/frames.py, `types` for types.py."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")
