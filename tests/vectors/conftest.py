"""Parametrisation of the vector tests from the files of the chosen folder."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.unit_files import OWN_VECTORS, load_unit, vectors_root

MANIFEST = Path(__file__).parent / "manifest.toml"


def later_patterns(name: str) -> list[str]:
    """Patterns of case names of a unit file that belong to a later capability (with the reason in the manifest)."""
    manifest: dict[str, Any] = tomllib.loads(MANIFEST.read_text())
    entry = manifest.get(name, {})
    return [later["cases"] for later in entry.get("later", [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = getattr(metafunc.function, "unit_files", None)
    if not names:
        return
    slow: tuple[str, ...] = metafunc.function.slow_cases
    root = vectors_root(metafunc.config)
    parameters = []
    for name in names:
        unit = load_unit(root, name)
        if unit is None:
            continue
        later = later_patterns(name)
        for index, case in enumerate(unit["cases"]):
            label = str(case.get("name", index))
            if any(fnmatch(label, pattern) for pattern in later):
                continue
            label = f"{name.split('/')[-1]}-{label}"
            is_slow = root == OWN_VECTORS and any(fnmatch(label, pattern) for pattern in slow)
            parameters.append(pytest.param(case, unit, id=label, marks=pytest.mark.slow if is_slow else ()))
    metafunc.parametrize(("case", "unit_file"), parameters)
