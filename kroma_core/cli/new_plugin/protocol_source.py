"""A class with the methods of a protocol, each saying that it is still to be written; and the imports that it takes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType

import attrs

LONGEST = 116
"""Characters a line, without its indentation."""


@attrs.frozen(kw_only=True)
class Skeleton:
    """Source text: the methods, indented by four, and the import lines of the names in their signatures."""

    methods: str
    imports: tuple[str, ...]


def skeleton_of(protocols: tuple[type, ...], kind: str) -> Skeleton:
    """The methods of all protocols, each raising `CriticalError` with the kind and its own name."""
    methods: list[str] = []
    imports: set[str] = set()
    for protocol in protocols:
        module = inspect.getmodule(protocol)
        assert module is not None
        for method in _methods(protocol):
            methods.append(_written(method, kind))
            imports |= set(_imports(method, module))
    return Skeleton(methods="\n".join(methods), imports=tuple(sorted(imports)))


def _methods(protocol: type) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    body = ast.parse(textwrap.dedent(inspect.getsource(protocol))).body[0]
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _written(method: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> str:
    begin = "async def" if isinstance(method, ast.AsyncFunctionDef) else "def"
    returns = "" if method.returns is None else f" -> {ast.unparse(method.returns)}"
    told = ast.get_docstring(method) or ""
    lines = [f"{begin} {method.name}({ast.unparse(method.args)}){returns}:"]
    if len(lines[0]) > LONGEST:
        lines = [f"{begin} {method.name}(", f"    {ast.unparse(method.args)}", f"){returns}:"]
    lines += textwrap.indent(f'"""{told}"""', "    ").splitlines() if "\n" not in told else _long(told)
    lines.append(f'    raise CriticalError("{kind}: {method.name} is still to be written")')
    return textwrap.indent("\n".join(lines), "    ") + "\n"


def _long(told: str) -> list[str]:
    return textwrap.indent(f'"""{told}\n"""', "    ").splitlines()


def _imports(method: ast.FunctionDef | ast.AsyncFunctionDef, module: ModuleType) -> Iterator[str]:
    known = _known(module)
    annotations = [argument.annotation for argument in method.args.args] + [method.returns]
    for annotation in annotations:
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Name) and node.id in known:
                yield f"from {known[node.id]} import {node.id}"


def _known(module: ModuleType) -> dict[str, str]:
    """Where the names of a module of the API come from; its own come from `kroma_core.api`."""
    found: dict[str, str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module != "__future__":
            found |= {alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            found[node.name] = "kroma_core.api"
    return found
