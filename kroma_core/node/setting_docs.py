"""What an operator reads about an offer's settings: names, types, defaults and texts, taken from the config class."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from kroma_core.api.settings import InputFile, Port, RecordingFile, Secret
from kroma_core.node.settings import is_enumeration, is_list


@attrs.frozen(kw_only=True)
class Setting:
    """A field of a config class as an operator sees it. `default` is None for a setting that must be given."""

    name: str
    type: str
    default: str | None
    doc: str


def describe(config: type) -> tuple[Setting, ...]:
    """The settings of a config class; their texts are the string literals under its fields."""
    hints = typing.get_type_hints(config)
    docs = _field_docs(config)
    return tuple(
        Setting(
            name=field.name,
            type=_type_name(hints[field.name]),
            default=None if field.default is attrs.NOTHING else _default_text(field.default),
            doc=docs.get(field.name, ""),
        )
        for field in attrs.fields(config)
    )


def _default_text(default: Any) -> str:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs declares Factory as a function
        default = default.factory() if not default.takes_self else "computed"
    match default:
        case None:
            return "none"
        case enum.Enum():
            return str(default.value)
        case bool():
            return "true" if default else "false"
        case bytes():
            return "0x" + default.hex()
        case tuple() | list() | frozenset():
            return "[" + ", ".join(_default_text(item) for item in default) + "]"
        case Secret():
            return "***"
        case _:
            return str(default)


_TYPE_NAMES: dict[Any, str] = {
    str: "text", int: "integer", float: "number", bool: "true or false", bytes: "0x hex", Path: "path",
    Secret: "secret", InputFile: "file", RecordingFile: "recording", Port: "port", type(None): "none",
}  # fmt: skip


def _type_name(hint: Any) -> str:
    if hint in _TYPE_NAMES:
        return _TYPE_NAMES[hint]
    if isinstance(hint, typing.NewType):
        return f"{_type_name(hint.__supertype__)} ({hint.__name__})"
    if is_enumeration(hint):
        return "one of " + ", ".join(str(member.value) for member in hint)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_type_name(argument) for argument in arguments if argument is not type(None))
    if is_list(hint):
        return f"list of {_type_name(arguments[0])}"
    if attrs.has(hint):
        return "table of " + ", ".join(field.name for field in attrs.fields(hint))
    return "table" if typing.get_origin(hint) in (dict, Mapping) else str(getattr(hint, "__name__", hint))


def _field_docs(config: type) -> dict[str, str]:
    docs: dict[str, str] = {}
    for owner in reversed(config.__mro__):
        if not attrs.has(owner):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = typing.cast(ast.ClassDef, tree.body[0]).body
        for statement, following in itertools.pairwise(body):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    docs[name] = " ".join(doc.split())
    return docs
