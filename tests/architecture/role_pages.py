"""The pages docs/plugins/<role>.md, from the protocols and the suites: `python -m tests.architecture.role_pages`."""

from __future__ import annotations

import ast
import enum
import inspect
import sys
import textwrap
from collections.abc import Container, Iterator
from itertools import pairwise
from types import ModuleType
from typing import get_args

import attrs

from kroma_core import events
from kroma_core.api import BlockTraces, Capability, Role, StateQueries, TxPool, hooks
from kroma_core.api.hooks import HOOK_OF_ROLE
from kroma_core.cli.new_plugin.roles import ROLES
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction, L1Block, L1Heads, L1Label
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes, Withdrawal
from kroma_core.testing.conformance.suites import OPTIONAL, SUITES
from kroma_core.testing.declared import CAPABILITIES, DeclaredSuite
from kroma_core.testing.levels import Level, level_of
from kroma_core.types import BlockId, L1Ref, L2Ref
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

VALUES: dict[Role, tuple[type, ...]] = {
    Role.L1: (L1Label, L1Heads, L1Block, L1Ref, BlockId),
    Role.BLOBS: (L1Ref,),
    Role.DATA: (InboxTransaction, L1Ref, Rules),
    Role.ENGINE: (PayloadAttributes, Payload, Withdrawal, ForkchoiceState, L2Label, BlockId),
    Role.OBSERVE: (L1Heads, L1Ref, L2Ref, BlockId),
}
"""What the methods of a role, or its events, are given and give that stands outside `kroma_core.api`."""
ASKED: dict[type, tuple[str, ...]] = {Rules: ("blobs",)}
"""The fields that concern a plugin, of a value with many others."""


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
        yield "Capabilities that an offer may claim:"
        yield ""
        node = ast.parse(inspect.getsource(Capability)).body[0]
        assert isinstance(node, ast.ClassDef)
        told = dict(_texts(node))
        yield from (f"- `{one}`: {told[one.name]}" for one in sorted(claimed))
    for protocol in text.protocols:
        yield from _protocol(protocol)
    modules = [module]
    for protocol in OPTIONAL_PROTOCOLS.get(role, ()):
        yield from _protocol(protocol)
        other = inspect.getmodule(protocol)
        assert other is not None
        modules += [] if other in modules else [other]
    yield from _values(modules, VALUES.get(role, ()))
    if role is Role.OBSERVE:
        yield from _events()
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


def _events() -> Iterator[str]:
    """Every kind of event, and the values of which events are made."""
    kinds = get_args(events.Event)
    yield ""
    yield "## Events"
    yield ""
    yield "`Event` of `kroma_core.events` is one of these. Later versions add kinds: pass over what you do not know."
    for kind in kinds:
        yield from _value(kind)
    yield ""
    yield "## Values in events"
    yield ""
    yield "A `Number` is an `int`, a `str` or `bytes`."
    for name, value in vars(events).items():
        if inspect.isclass(value) and value.__module__ == events.__name__ and value not in kinds:
            yield from _value(getattr(events, name))


def _values(modules: list[ModuleType], besides: tuple[type, ...]) -> Iterator[str]:
    classes = [
        getattr(module, node.name)
        for module in modules
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and attrs.has(getattr(module, node.name))
    ]
    if classes or besides:
        yield ""
        yield "## Values"
    for value in classes:
        yield from _value(value)
    for value in besides:
        yield from _value(value)


def _value(value: type) -> Iterator[str]:
    """Name, module, meaning; then the fields, or the members of an enumeration, each with the text under it."""
    node = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(node, ast.ClassDef)
    wanted: Container[str] | None = ASKED.get(value)
    fields = list(_fields(node, wanted, members=issubclass(value, enum.Enum)))
    yield ""
    told = "" if wanted is None else " Of its fields there concerns this role:"
    place = "kroma_core.api" if value.__module__.startswith("kroma_core.api") else value.__module__
    yield f"`{node.name}` (`{place}`): {_prose(ast.get_docstring(node) or '')}{told}"
    if fields:
        yield ""
        yield from fields


def _fields(node: ast.ClassDef, wanted: Container[str] | None, *, members: bool) -> Iterator[str]:
    texts = dict(_texts(node))
    for item in node.body:
        match item:
            case ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) if members:
                pass
            case ast.FunctionDef(name=name, decorator_list=[ast.Name(id="property")], returns=ast.expr() as returns):
                if wanted is None:
                    yield f"- `{name}` (computed): `{ast.unparse(returns)}`"
                continue
            case _:
                continue
        if wanted is not None and name not in wanted:
            continue
        told = f": {texts[name]}" if name in texts else ""
        yield f"- `{' '.join(ast.unparse(item).split())}`{told}"


def _texts(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The text under each field or member, by its name."""
    for item, after in pairwise(node.body):
        match item, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, _prose(" ".join(text.split()))


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
