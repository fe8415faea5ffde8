"""A node without one of its plugins: it says who asked for it and how to get it, and the rest works."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tomllib
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.node.absent import published
from kroma_core.node.registry import discover
from tests.architecture.sources import ROOT, plugin_folders

PROFILES = sorted((ROOT / "examples" / "profiles").glob("*.toml"))

COMMANDS = """
import contextlib, io, json, sys
from kroma_core.cli import main
told = []
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    told.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""


@attrs.frozen
class Told:
    """What a command came to."""

    code: int
    out: str
    err: str


def distribution_of(folder: Path) -> str:
    name: str = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    return name


def environment_without(distribution: str, folder: Path, *, pip: bool = False) -> Path:
    """The interpreter of an environment with all that is installed here but one distribution.

    That one's files are those that its RECORD lists: what `pip uninstall` removes. With `pip` they are copied, and it
    does so.
    """
    venv.EnvBuilder(symlinks=True, with_pip=pip).create(folder)
    installed = Path(sysconfig.get_path("purelib"))
    files = metadata.distribution(distribution).files
    assert files, f"{distribution} has no RECORD"
    removed = {file.parts[0] for file in files}
    site = next(folder.glob("lib/python3*/site-packages"))
    for path in installed.iterdir():
        if path.name == "__pycache__" or (site / path.name).exists():
            continue
        if path.name not in removed:
            (site / path.name).symlink_to(path)
        elif pip:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, site / path.name)
    python = folder / "bin" / "python"
    if pip:
        assert distribution in commands(python, ["plugins"])[0].out
        line = [python, "-I", "-m", "pip", "uninstall", "--yes", "--quiet", distribution]
        subprocess.run(line, check=True, capture_output=True, timeout=120)
    return python


def commands(python: Path, *lines: list[str]) -> list[Told]:
    done = subprocess.run(
        [python, "-I", "-c", COMMANDS, json.dumps(lines)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [Told(*told) for told in json.loads(done.stdout)]


def asked_of(profile: Path, distribution: str) -> list[tuple[str, str, str]]:
    """Role, table and kind of each table of a profile that a distribution fills."""
    offers = {(found.role.value, found.offer.kind): found.distribution for found in discover().offers}
    tables: dict[str, Any] = tomllib.loads(profile.read_text())
    named = [
        (role, *one)
        for role, value in tables.items()
        for number, table in enumerate(value if isinstance(value, list) else [value], 1)
        for one in kinds_in(table, f"[[{role}]]{_number(number, value)}" if isinstance(value, list) else f"[{role}]")
    ]
    return [one for one in named if offers.get((one[0], one[2])) == distribution]


def kinds_in(table: dict[str, Any], header: str) -> Iterator[tuple[str, str]]:
    """A part's table and its kind, and those of its shadows and of what it stands on."""
    if "kind" in table:
        yield header, table["kind"]
    for number, shadow in enumerate(table.get("shadow", ()), 1):
        yield from kinds_in(shadow, f"{header} shadow {number}")
    if "wraps" in table:
        yield from kinds_in(table["wraps"], f"{header} wraps")


def _number(number: int, listed: list[Any]) -> str:
    return f" number {number}" if len(listed) > 1 else ""


@pytest.mark.parametrize("pip", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["removed", "uninstalled"])
@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda folder: folder.name)
def test_without_a_plugin_each_profile_says_who_asks_for_it_and_how_to_get_it(
    folder: Path, pip: bool, tmp_path: Path
) -> None:
    name = distribution_of(folder)
    python = environment_without(name, tmp_path / "environment", pip=pip)
    listed, *checks = commands(python, ["plugins"], *(["check", str(profile)] for profile in PROFILES))
    assert listed.code == 0
    assert listed.err == ""
    there = {row.split()[2] for row in listed.out.splitlines()[1:]}
    assert there == {found.distribution for found in discover().offers} - {name}
    for profile, told in zip(PROFILES, checks, strict=True):
        asked = asked_of(profile, name)
        assert told.code == (1 if asked else 0), told.err
        problems = [line for line in told.err.splitlines() if "warning" not in line]
        assert len(problems) == len(asked), told.err
        for problem, (role, table, kind) in zip(problems, asked, strict=True):
            assert problem.startswith(f"kroma: {profile}: {table} kind: no installed plugin offers {role} '{kind}'; ")
            assert problem.endswith(
                f"; {name} has it: pip install {name} (in a checkout: pip install -e {folder.relative_to(ROOT)})"
            )


def test_without_a_library_of_a_plugin_a_profile_says_who_depends_on_it(tmp_path: Path) -> None:
    python = environment_without("rocksdict", tmp_path / "environment")
    profile = ROOT / "examples" / "profiles" / "recorded-chain.toml"
    listed, told = commands(python, ["plugins"], ["check", str(profile)])
    assert (listed.code, listed.err) == (0, "")
    assert told.code == 1
    assert told.err == (
        f"kroma: {profile}: [engine]: 'pyevm' (kroma-engine-pyevm 0.1.0) depends on rocksdict>=0.3.29, which is not "
        "installed: pip install 'rocksdict>=0.3.29'\n"
    )


def test_what_is_published_is_what_the_plugins_offer() -> None:
    """`kroma_core/node/published.toml` is all that is left to know of a plugin that was removed."""
    offered: dict[str, set[tuple[str, str]]] = {}
    for found in discover().offers:
        offered.setdefault(found.distribution, set()).add((found.role.value, found.offer.kind))
    folders = {distribution_of(folder): f"plugins/{folder.name}" for folder in plugin_folders()}
    assert {one.distribution: one.folder for one in published()} == folders, "see kroma_core/node/published.toml"
    for one in published():
        assert {(role.value, kind) for role, kinds in one.kinds.items() for kind in kinds} == offered[one.distribution]
