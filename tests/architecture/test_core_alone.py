"""Core knows no plugin: its own tests pass where none is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT

NEED_PLUGINS = frozenset(
    {
        "actions",
        "architecture",
        "bench",
        "cli",
        "contract",
        "engine_api",
        "eth_rpc",
        "isolation",
        "node_rpc",
        "peers",
        "vectors",
    }
)
"""Tests of the whole: scripts with an engine, measurements, the command line, vectors, suites for installed offers."""

CORE_TESTS = sorted(
    path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py")) and path.name not in NEED_PLUGINS
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


QUICK = frozenset({"chain"})
"""The rest runs with what is slow: each folder is a second run of tests that have passed with plugins."""


@pytest.mark.parametrize(
    "folder", [folder if folder in QUICK else pytest.param(folder, marks=pytest.mark.slow) for folder in CORE_TESTS]
)
def test_cores_own_tests_pass_with_no_plugin_installed(folder: str) -> None:
    done = run("-m", "pytest", "-p", "tests.architecture.without_plugins", "-p", "no:cacheprovider", f"tests/{folder}")
    assert done.returncode == 0, done.stdout[-3000:]


def test_without_plugins_the_list_is_empty_and_says_so() -> None:
    script = (
        "import tests.architecture.without_plugins, sys; from kroma_core.cli import main; sys.exit(main(['plugins']))"
    )
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ROLE  KIND  DISTRIBUTION  VERSION  API  CAPABILITIES"]


def test_without_plugins_a_replay_says_what_is_missing() -> None:
    script = (
        "import tests.architecture.without_plugins, sys; from kroma_core.cli import main; "
        "sys.exit(main(['replay', 'tests/vectors/data/op-chains/plain-bedrock.json.xz']))"
    )
    done = run("-c", script)
    assert done.returncode == 1
    assert "[engine]: the profile names none, and one that executes blocks is not installed" in done.stderr
    assert "Traceback" not in done.stderr
