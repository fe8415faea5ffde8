"""The worked examples: built on the public parts of core alone, and proved as a stranger's plugin would be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import CORE, imports_of, relative
from tests.examples.fresh_environment import EXAMPLES, PINS, Fresh

KINDS = {"data_directory": "directory", "engine_faults": "faulty", "observer_arrow": "arrow"}
NEEDED_FROM_INDEX = {"observer_arrow": ("pyarrow", "pandas")}

PRIVATE = ("node", "services", "cli")


def distributions() -> list[Path]:
    return sorted(path.parent for path in EXAMPLES.glob("*/pyproject.toml"))


def test_every_example_with_a_package_is_proved_here() -> None:
    assert {path.name for path in distributions()} == {"plugin_template", *KINDS}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_example_has_what_a_plugin_that_is_published_has(name: str) -> None:
    folder = EXAMPLES / name
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    [entry] = project["entry-points"]["kroma.plugins"].values()
    package = folder / entry.partition(".")[0]
    wanted = [package / "__init__.py", package / "py.typed", folder / "README.md", folder / "tests" / "conftest.py"]
    assert [relative(path) for path in wanted if not path.exists()] == []
    readme = (folder / "README.md").read_text()
    assert f'kind = "{KINDS[name]}"' in readme
    assert "Level reached: **load**" in readme


@pytest.mark.parametrize("folder", distributions(), ids=lambda path: path.name)
def test_an_example_imports_the_public_parts_of_core_alone(folder: Path) -> None:
    private = [
        f"{relative(path)}:{line}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for name, line in imports_of(path)
        if name.startswith(tuple(f"kroma_core.{part}" for part in PRIVATE))
        or (name.startswith("kroma_core.testing") and "tests" not in path.relative_to(folder).parts)
    ]
    assert private == []
    assert all((CORE / part).exists() or part == "services" for part in PRIVATE)


def test_examples_are_linked_from_the_documentation() -> None:
    docs = EXAMPLES.parent / "docs" / "plugins"
    pages = {"data_directory": "data.md", "engine_faults": "engine.md", "observer_arrow": "observe.md"}
    for name in KINDS:
        for page in ("tutorial.md", "README.md", pages[name]):
            assert f"examples/{name}" in (docs / page).read_text(), f"docs/plugins/{page} does not name {name}"


def test_pins_of_the_examples_are_plain_versions() -> None:
    pins = PINS.read_text().split()
    assert pins == sorted(pins)
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_example_as_a_wheel_in_a_fresh_environment_passes_its_tests_and_the_kit(name: str, tmp_path: Path) -> None:
    fresh = Fresh.made(tmp_path)
    if name in NEEDED_FROM_INDEX:
        fresh.install_from_index(*NEEDED_FROM_INDEX[name])
    source = fresh.install_as_wheel(EXAMPLES / name)
    tests = fresh.python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=source)
    assert re.search(r"^\d+ passed", tests, re.M), tests
    kit = fresh.python("-m", "pytest", "--kroma-conformance", f"kind={KINDS[name]}", cwd=source)
    assert "Level reached: **load**" in kit, kit
