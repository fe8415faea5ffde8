"""The pages docs/plugins/<role>.md, from the protocols and the suites: `python -m tests.architecture.role_pages`."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

import attrs

from kroma_core.api import BlockTraces, Role, StateQueries, TxPool, hooks
from kroma_core.api.hooks import HOOK_OF_ROLE
from kroma_core.cli.new_plugin.roles import ROLES
from kroma_core.testing.conformance.suites import OPTIONAL, SUITES
from kroma_core.testing.declared import CAPABILITIES, DeclaredSuite
from kroma_core.testing.levels import Level, level_of
from tests.architecture.sources import ROOT

FOLDER = ROOT / "docs" / "plugins"
EXAMPLES: dict[Role, tuple[str, ...]] = {
    Role.DATA: ("examples/plugin_template", "examples/data_directory"),
    Role.ENGINE: ("examples/engine_faults",),
    Role.OBSERVE: ("examples/observer_arrow",),
}
"""Distributions that fill a role, to read and to copy."""
OPTIONAL_PROTOCOLS: dict[Role, tuple[type, ...]] = {Role.ENGINE: (StateQueries, TxPool, BlockTraces)}
"""What an offer may have besides, behind a capability."""


def pages() -> dict[str, str]:
    """Each page by its name."""
    return {f"{role.value}.md": "\n".join(_page(role)).rstrip() + "\n" for role in Role}


def _page(role: Role) -> Iterator[str]:
    text = ROLES[role]
    module = inspect.getmodule(text.protocols[0])
    assert module is not None
    yield f"# Role `{role}`: {text.noun}"
    yield ""
    yield "<!-- written by `python -m tests.architecture.role_pages` from kroma_core/api; do not edit -->"
    yield ""
    yield _prose(inspect.getdoc(module) or "")
    yield ""
    yield "```python"
    returns = inspect.signature(getattr(hooks, HOOK_OF_ROLE[role])).return_annotation
    yield f"def {HOOK_OF_ROLE[role]}() -> {returns}"
    yield "```"
    yield ""
    yield f"Begin one with `kroma plugin new NAME --role {role}`." + _examples(role)
    claimed = CAPABILITIES.get(role)
    if claimed:
        yield ""
        yield "Capabilities that an offer may claim: " + ", ".join(f"`{one}`" for one in sorted(claimed)) + "."
    for protocol in text.protocols:
        yield from _protocol(protocol)
    modules = [module]
    for protocol in OPTIONAL_PROTOCOLS.get(role, ()):
        yield from _protocol(protocol)
        other = inspect.getmodule(protocol)
        assert other is not None
        modules += [] if other in modules else [other]
    yield from _values(modules)
    yield from _suite(role)


def _examples(role: Role) -> str:
    paths = [f"[`{path}`](../../{path}/README.md)" for path in EXAMPLES.get(role, ())]
    return f" Worked {'examples' if len(paths) > 1 else 'example'}: {', '.join(paths)}." if paths else ""


def _protocol(protocol: type) -> Iterator[str]:
    tree = ast.parse(inspect.getsource(protocol)).body[0]
    assert isinstance(tree, ast.ClassDef)
    yield ""
    yield f"## `{protocol.__name__}`"
    yield ""
    yield _prose(inspect.getdoc(protocol) or "")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            begin = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            assert node.returns is not None
            yield ""
            yield "```python"
            yield f"{begin} {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
            yield "```"
            yield ""
            yield _prose(ast.get_docstring(node) or "")


def _values(modules: list[ModuleType]) -> Iterator[str]:
    classes = [
        node
        for module in modules
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and attrs.has(getattr(module, node.name))
    ]
    if classes:
        yield ""
        yield "## Values"
    for node in classes:
        yield ""
        fields = [ast.unparse(item).replace("\n", " ") for item in node.body if isinstance(item, ast.AnnAssign)]
        yield f"`{node.name}`: {_prose(ast.get_docstring(node) or '')}"
        if fields:
            yield ""
            yield from (f"- `{field}`" for field in fields)


def _suite(role: Role) -> Iterator[str]:
    yield ""
    yield "## What the kit asks"
    yield ""
    suites = [DeclaredSuite, SUITES[role]]
    suites += [suite for capability, suite in OPTIONAL.items() if capability in CAPABILITIES.get(role, ())]
    for suite in suites:
        yield f"`{suite.__module__}.{suite.__name__}`"
        yield ""
        tests = [(level_of(test), name) for name, test in inspect.getmembers(suite, inspect.isfunction)]
        for level in Level:
            named = sorted(name for found, name in tests if found is level and name.startswith("test_"))
            yield from (f"- {level}: {name.removeprefix('test_').replace('_', ' ')}" for name in named)
        yield ""


def _prose(text: str) -> str:
    return text.replace("<", "&lt;")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    print(f"wrote {len(pages())} pages into {FOLDER}", file=sys.stderr)


if __name__ == "__main__":
    main()
