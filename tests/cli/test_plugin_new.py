"""`kroma plugin new`, and the finished plugin in examples/plugin_template."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from kroma_core.api import API_VERSION, Role
from kroma_core.cli import main
from kroma_core.cli.new_plugin.names import check_name
from kroma_core.errors import ConfigError
from kroma_core.node.registry import collect
from tests.architecture.sources import ROOT
from tests.node.sample_parts import SamplePlugin, offer

TEMPLATE = ROOT / "examples" / "plugin_template"
RECORDING = ROOT / "tests" / "vectors" / "data" / "op-chains" / "plain-bedrock.json.xz"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def written(role: str, folder: Path) -> Path:
    name = f"my-{role}"
    assert main(["plugin", "new", name, "--role", role, "--in", str(folder)]) == 0
    return folder / name


def ran(*command: object, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) if path is None else {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def installed(distribution: Path, folder: Path) -> Path:
    """A folder for PYTHONPATH with the distribution in it."""
    target = folder / "installed"
    done = ran(
        *PIP, "install", "--no-deps", "--no-index", "--no-build-isolation", "--target", target, distribution, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize("role", list(Role))
def test_a_new_plugin_of_any_role_is_valid_python(
    role: Role, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = written(role.value, tmp_path)
    files = sorted(top.rglob("*.py"))
    assert len(files) >= 5
    for path in files:
        compile(path.read_text(), str(path), "exec")
    assert "pip install -e ." in capsys.readouterr().out


def test_what_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my-data").mkdir()
    (tmp_path / "my-data" / "README.md").write_text("mine")
    assert main(["plugin", "new", "my-data", "--role", "data", "--in", str(tmp_path)]) == 1
    assert [path.name for path in (tmp_path / "my-data").iterdir()] == ["README.md"]
    assert "exists already; nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["My-Data", "1data", "a--b", "../up", "with space", ""])
def test_a_name_that_cannot_be_a_kind_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", name, "--role", "data", "--in", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert "is no name for a plugin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("class", "'class' is a keyword of Python"),
        ("none", "'None' is a keyword of Python"),
        ("json", "Python has a module 'json' of its own"),
        ("maker", "its package 'maker' would stand in the way of its own tests"),
        ("pytest", "a distribution 'pytest' is installed already"),
        ("kroma-core", "a distribution 'kroma-core' is installed already"),
        ("attr", "a module 'attr' can be imported already"),
    ],
)
def test_a_name_that_installs_but_does_not_work_is_refused(
    name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugin", "new", name, "--role", "data", "--in", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert f"{name!r} is no name for a plugin: {why}" in capsys.readouterr().err


def test_a_kind_that_is_installed_is_refused_for_its_role_only() -> None:
    registry = collect([("acme", "1.0", SamplePlugin(engine=[offer("fast-one")]))])
    with pytest.raises(ConfigError, match=r"acme 1\.0 offers engine 'fast-one' already, and two are refused"):
        check_name("fast-one", Role.ENGINE, registry)
    check_name("fast-one", Role.DATA, registry)


@pytest.mark.parametrize("role", list(Role))
def test_what_is_written_is_sorted_and_formatted_as_ruff_wants_it_anywhere(role: Role, tmp_path: Path) -> None:
    top = written(role.value, tmp_path)
    ruff = (sys.executable, "-m", "ruff")
    linted = ran(*ruff, "check", "--no-cache", "--select", "E,F,I,UP", ".", cwd=top)
    assert linted.returncode == 0, linted.stdout
    formatted = ran(*ruff, "format", "--no-cache", "--diff", ".", cwd=top)
    assert formatted.returncode == 0, formatted.stdout


def test_what_is_written_says_which_versions_of_the_node_it_is_for(tmp_path: Path) -> None:
    top = written("engine", tmp_path)
    project = tomllib.loads((top / "pyproject.toml").read_text())["project"]
    assert "kroma-core>=0.1,<1" in project["dependencies"]
    assert f"            api={API_VERSION},\n" in (top / "my_engine" / "offers.py").read_text()


def test_a_new_data_source_installs_is_listed_and_tells_what_is_missing(tmp_path: Path) -> None:
    top = written("data", tmp_path)
    path = installed(top, tmp_path)
    listed = ran(sys.executable, "-c", "from kroma_core.cli import main; main(['plugins'])", cwd=tmp_path, path=path)
    assert "data    my-data" in listed.stdout
    done = ran(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=top, path=path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "my-data: encode is still to be written" in done.stdout


def test_its_tests_have_the_suites_of_the_kit_also_for_what_it_claims_later(tmp_path: Path) -> None:
    top = written("engine", tmp_path)
    offers = top / "my_engine" / "offers.py"
    offers.write_text(offers.read_text().replace("Capability.EXECUTES", "Capability.EXECUTES, Capability.TX_POOL"))
    info = top / "my_engine-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-engine\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[kroma.plugins]\nmy_engine = my_engine.offers\n")
    own = ran(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", cwd=top, path=top)
    names = [line.partition("::")[2] for line in own.stdout.splitlines() if "::" in line]
    assert {name.partition("::")[0] for name in names} == {"TestDeclared", "TestEngine", "TestTxPool"}
    assert "TestTxPool::test_the_engine_has_the_methods_of_the_pool_that_it_claims" in names


def test_where_it_is_not_installed_its_tests_say_so_once(tmp_path: Path) -> None:
    done = ran(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=written("data", tmp_path))
    assert done.stdout.count("E   LookupError: no installed plugin offers data 'my-data'; ") == 1
    assert "1 error in" in done.stdout.splitlines()[-1]


def test_a_recording_in_the_encoding_of_the_template_derives_a_block_with_it_and_none_without(tmp_path: Path) -> None:
    path = installed(Path(shutil.copytree(TEMPLATE, tmp_path / "source")), tmp_path)
    assert ran(sys.executable, TEMPLATE / "tests" / "record.py", cwd=tmp_path, path=path).returncode == 0
    derived = {}
    for kind in ("deflated-data", "calldata"):
        profile = tmp_path / f"{kind}.toml"
        profile.write_text(f'[engine]\nkind = "pyevm"\n\n[[data]]\nkind = "{kind}"\n')
        command = "import sys; from kroma_core.cli import main; sys.exit(main(sys.argv[1:]))"
        done = ran(
            sys.executable, "-c", command, "derive", "deflated.krec", "--profile", profile, cwd=tmp_path, path=path
        )
        derived[kind] = (done.returncode, [line.split()[0] for line in done.stdout.splitlines()])
    assert derived == {"deflated-data": (0, ["1"]), "calldata": (1, [])}


@pytest.mark.slow
@pytest.mark.parametrize("role", list(Role))
def test_a_new_plugin_of_any_role_installs_and_is_listed(role: Role, tmp_path: Path) -> None:
    top = written(role.value, tmp_path)
    path = installed(top, tmp_path)
    kit = ran(sys.executable, "-m", "pytest", "--kroma-conformance", f"kind=my-{role}", cwd=top, path=path)
    assert f"### Conformance: {role} `my-{role}`" in kit.stdout, kit.stdout + kit.stderr
    assert "error" not in kit.stdout.rpartition("\n")[2]
    done = ran(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=top, path=path)
    assert "is still to be written" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_template_as_a_wheel_in_a_fresh_environment_derives_blocks(tmp_path: Path) -> None:
    source = Path(shutil.copytree(TEMPLATE, tmp_path / "source"))
    wheel = ran(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source, cwd=tmp_path)
    assert wheel.returncode == 0, wheel.stderr
    fresh = tmp_path / "fresh"
    assert ran(sys.executable, "-m", "venv", fresh, cwd=tmp_path).returncode == 0
    python = fresh / "bin" / "python"
    site = ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).stdout.strip()
    node = sysconfig.get_path("purelib")
    Path(site, "node.pth").write_text(f"import site; site.addsitedir({node!r})\n")  # the node itself
    done = ran(python, "-m", "pip", "install", "--no-deps", "--no-index", next(tmp_path.glob("*.whl")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    tests = ran(python, "-m", "pytest", "-p", "no:cacheprovider", source / "tests", cwd=source)
    assert tests.returncode == 0, tests.stdout
    kit = ran(python, "-m", "pytest", "--kroma-conformance", "kind=deflated-data", cwd=source)
    assert "Level reached: **load**" in kit.stdout, kit.stdout + kit.stderr

    profile = tmp_path / "node.toml"
    profile.write_text('[engine]\nkind = "pyevm"\n\n[[data]]\nkind = "deflated-data"\n')
    command = "import sys; from kroma_core.cli import main; sys.exit(main(sys.argv[1:]))"
    replay = ran(python, "-c", command, "replay", RECORDING, "--profile", profile, cwd=tmp_path)
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert "94" in replay.stdout
