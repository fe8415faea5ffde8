"""The documents are true: hooks and protocols as they are, commands that exist and run."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kroma_core.api import API_VERSION, Capability, Offer, hooks
from kroma_core.api.hooks import HOOK_OF_ROLE
from kroma_core.cli import parser
from kroma_core.node.profile import ChainTable, ExplainTable, NodeTable
from kroma_core.node.setting_docs import describe
from kroma_core.node.shadow.table import ShadowTable
from tests.architecture.sources import CORE, ROOT, tree_of
from tests.cli.recordings import kroma

PLUGINS_DOC = ROOT / "docs" / "plugins.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def commands(program: str) -> Iterator[tuple[Path, str]]:
    """Command lines of all documents that begin with `program`, without comments."""
    for path in DOCUMENTS:
        for block in blocks(path, "(?:sh|)"):
            for line in block.splitlines():
                if line.startswith(f"{program} "):
                    yield path, line.partition("#")[0].strip()


def protocols(source: ast.Module) -> dict[str, dict[str, str]]:
    """Signatures of the methods of each protocol, by class and method."""
    found: dict[str, dict[str, str]] = {}
    for node in source.body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
            found[node.name] = {
                method.name: f"{type(method).__name__} {ast.unparse(method.args)} -> {ast.unparse(method.returns)}"
                for method in node.body
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.returns is not None
            }
    return found


def test_every_hook_is_documented_with_its_exact_signature() -> None:
    documented = PLUGINS_DOC.read_text()
    names = [name for name, value in vars(hooks).items() if inspect.isfunction(value) and name.startswith("provide_")]
    assert sorted(names) == sorted(HOOK_OF_ROLE.values())
    for name in names:
        returns = inspect.signature(getattr(hooks, name)).return_annotation
        assert f"\ndef {name}() -> {returns}\n" in documented


def test_every_protocol_of_a_role_is_documented_with_its_exact_signatures() -> None:
    actual: dict[str, dict[str, str]] = {}
    for name in ("l1", "blobs", "data", "engine", "queries", "block_traces", "transport", "proof", "observer"):
        actual |= protocols(tree_of(CORE / "api" / f"{name}.py"))
    documented: dict[str, dict[str, str]] = {}
    for block in blocks(PLUGINS_DOC, "python"):
        if "(Protocol)" in block:
            documented |= protocols(ast.parse(block))
    assert documented == actual


def test_every_field_of_an_offer_and_every_capability_is_documented() -> None:
    documented = PLUGINS_DOC.read_text()
    for field in Offer.__attrs_attrs__:  # type: ignore[attr-defined]  # attrs adds it
        assert f"| `{field.name}` |" in documented
    for capability in Capability:
        assert f"`{capability}`" in documented
    assert API_VERSION == 1


def test_the_settings_of_a_profile_are_documented() -> None:
    documented = (ROOT / "docs" / "operating.md").read_text()
    for table in (ChainTable, ExplainTable, NodeTable, ShadowTable):
        for setting in describe(table):
            assert setting.doc, f"{table.__name__}.{setting.name}"
            assert f"| `{setting.name}` |" in documented, f"{table.__name__}.{setting.name}"


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    names = next(action for action in parser()._actions if action.dest == "run" or action.choices).choices or {}
    assert [name for name in names if f"`kroma {name}" not in text] == []


@pytest.mark.parametrize(("path", "line"), list(commands("make")), ids=lambda value: str(value)[-40:])
def test_make_targets_of_the_documents_exist(path: Path, line: str) -> None:
    done = subprocess.run(["make", "-n", *shlex.split(line)[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{path.name}: {line}: {done.stderr}"


@pytest.mark.parametrize(
    ("path", "line"),
    {line: (path, line) for path, line in commands("kroma")}.values(),
    ids=lambda value: str(value)[-60:],
)
def test_kroma_commands_of_the_documents_run(
    path: Path, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROMA_NODE__DATA_DIR", str(tmp_path))
    monkeypatch.chdir(ROOT)
    done = kroma(*shlex.split(line)[1:])
    assert done.returncode == 0, f"{path.name}: {line}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "profiles").glob("*.toml")), ids=lambda path: path.name)
def test_example_profiles_pass_the_check(path: Path) -> None:
    done = kroma("check", path)
    assert done.returncode == 0, done.stderr


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.name}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []
