"""`pytest --kroma-conformance`: what it runs, what it reports, and that without it nothing changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.api import Offer, PluginContext, Role
from kroma_core.testing.conformance.suites import default_maker
from kroma_core.testing.engine import EngineSuite
from kroma_core.testing.installed import Installed
from tests.node.sample_parts import NoSettings


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_it_runs_outside_this_repository_and_reports_the_level(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert False\n")
    report = tmp_path / "report.md"
    done = pytest_in(tmp_path, "--kroma-conformance", "kind=calldata", "--kroma-report", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    assert report.read_text().startswith("### Conformance: data `calldata` of kroma-derive-calldata ")
    assert "Level reached: **load**" in report.read_text()


def test_levels_above_the_one_asked_for_are_left_out(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, "--kroma-conformance", "kind=calldata", "--kroma-level", "declared")
    assert "Level reached: **declared**" in done.stdout
    assert "| contract | 0 | 0 | 0 |" in done.stdout


def test_a_part_that_only_its_author_can_open_is_looked_at_as_declared(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, "--kroma-conformance", "kind=beacon")
    assert "Level reached: **declared**" in done.stdout
    assert "Only what is declared was looked at: how a blobs part is opened" in done.stdout


def test_a_maker_is_taken_from_a_conftest_and_its_failures_are_listed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "class Maker:\n"
        "    @asynccontextmanager\n"
        "    async def open_source(self, blobs):\n"
        "        raise ValueError('not today')\n"
        "        yield\n"
        "    def carried(self, l1, contents):\n"
        "        return []\n"
        "def pytest_kroma_maker(role, kind):\n"
        "    return Maker if kind == 'calldata' else None\n"
    )
    done = pytest_in(tmp_path, "--kroma-conformance", "kind=calldata")
    assert done.returncode == 1
    assert "Level reached: **none**" in done.stdout
    assert "- `TestDataSource.test_frames_come_back_in_order`" in done.stdout


def test_what_cannot_be_run_is_told_in_one_message(tmp_path: Path) -> None:
    for option, message in (
        ("kind=nothing", "no installed plugin offers 'nothing'"),
        ("kind=calldata,role=engine", "no installed plugin offers engine 'calldata'; 'calldata' is offered for data"),
        ("kind=cassette", "'cassette' is offered for blobs and l1: add role=ROLE"),
        ("kind=calldata,role=cook", "role=cook: expected one of l1, blobs"),
        ("calldata", "expected kind=KIND"),
        ("kind=calldata,maker=nowhere:Maker", "maker=nowhere:Maker: No module named 'nowhere'"),
    ):
        done = pytest_in(tmp_path, "--kroma-conformance", option)
        assert done.returncode == 4, option
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_without_the_option_nothing_of_the_kit_is_imported(tmp_path: Path) -> None:
    (tmp_path / "test_alone.py").write_text(
        "import sys\n"
        "def test_alone():\n"
        "    found = [name for name in sys.modules if name.startswith('kroma_core')]\n"
        "    assert sorted(found) == ['kroma_core', 'kroma_core.testing', 'kroma_core.testing.conformance']\n"
    )
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout


def test_an_engine_on_another_is_opened_on_the_installed_one_that_executes(tmp_path: Path) -> None:
    class Recorded(EngineSuite):
        __test__ = False
        open_engine: Any = None

    @asynccontextmanager
    async def open_thin(settings: Any, context: PluginContext, *, engine: Any) -> AsyncIterator[Any]:
        yield engine

    thin = Offer(kind="thin", config=NoSettings, open=open_thin, requires=(Role.ENGINE,))
    maker: Any = default_maker(Installed(role=Role.ENGINE, offer=thin, distribution="acme", version="1"))
    chain, _ = Recorded().recorded(1)

    async def main() -> None:
        async with maker().open_engine(chain, tmp_path) as engine:
            assert (await engine.heads()).unsafe == chain.rollup.genesis.l2.hash

    trio.run(main)


def plugin(folder: Path, name: str, source: str) -> None:
    """A distribution as an installer leaves it in a folder of `sys.path`."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[kroma.plugins]\n{name} = {name}\n")


_TEXT_FOR_A_SET = """
import attrs
from kroma_core.api import Offer, hookimpl

@attrs.frozen
class Settings:
    pass

@hookimpl
def provide_data_sources():
    return [Offer(kind="texty", config=Settings, open=print, capabilities={"publishes"})]
"""


def test_a_plugin_that_a_node_sets_aside_is_refused_with_its_sentence_and_takes_no_other_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path, "texty", _TEXT_FOR_A_SET)
    plugin(tmp_path, "broken", "import nosuchlib\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    refused = pytest_in(tmp_path, "--kroma-conformance", "kind=texty")
    assert refused.returncode == 4
    assert "no installed plugin offers 'texty'; plugin broken 0.1.0 could not be loaded: ModuleNo" in refused.stderr
    assert "plugin texty 0.1.0 could not be loaded: data 'texty': capabilities has 'publishes', exp" in refused.stderr
    other = pytest_in(tmp_path, "--kroma-conformance", "kind=calldata", "--kroma-level", "declared")
    assert other.returncode == 0, other.stdout + other.stderr
    assert "Level reached: **declared**" in other.stdout
