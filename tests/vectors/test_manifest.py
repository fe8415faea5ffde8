"""The manifest and the unit-vector files cover each other: no file, and no case of one, is left without a test."""

from __future__ import annotations

import importlib
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.conftest import MANIFEST
from tests.vectors.unit_files import OWN_VECTORS, find, load_unit, vectors_root

FOLDERS = ("op-units", "op-exec", "kroma-units")


def manifest() -> dict[str, Any]:
    entries: dict[str, Any] = tomllib.loads(MANIFEST.read_text())
    return entries


def unit_names(root: Path) -> list[str]:
    """`folder/name` of every unit file under `root`."""
    return sorted(
        f"{folder}/{path.name.split('.')[0]}" for folder in FOLDERS for path in (root / folder).glob("*.json*")
    )


def test_every_unit_file_is_in_the_manifest(request: pytest.FixtureRequest) -> None:
    assert [name for name in unit_names(vectors_root(request.config)) if name not in manifest()] == []


@pytest.mark.parametrize("name", sorted(manifest()))
def test_the_project_has_its_own_copy_of_every_file(name: str) -> None:
    assert find(OWN_VECTORS, name) is not None


@pytest.mark.parametrize("name", sorted(manifest()))
def test_every_case_runs_or_waits_with_a_reason(name: str, request: pytest.FixtureRequest) -> None:
    entry = manifest()[name]
    unit = load_unit(vectors_root(request.config), name)
    cases = [str(case.get("name", index)) for index, case in enumerate(unit["cases"])] if unit is not None else []
    later = entry.get("later", [])
    assert all(wait["reason"] for wait in later)
    running = [case for case in cases if not any(fnmatch(case, wait["cases"]) for wait in later)]
    if "test" not in entry:
        assert running == [], f"{name}: no test is named for these cases"
        return
    module, function = entry["test"].split("::")
    test = getattr(importlib.import_module(f"tests.vectors.{module}"), function)
    assert name in test.unit_files, f"{entry['test']} does not read {name}"
