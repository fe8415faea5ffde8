"""Names that a new plugin cannot have: as a distribution, as a package, and as a kind."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from kroma_core.api import Role
from kroma_core.errors import ConfigError
from kroma_core.node.registry import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WRITTEN_BESIDE = frozenset({"tests", "conftest", "maker", "test_conformance"})
"""Modules that stand beside the package in what is written."""


def package_name(kind: str) -> str:
    return kind.replace("-", "_")


def class_name(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("-"))


def check_name(kind: str, role: Role, installed: Registry) -> None:
    """Refuses a name that installs but does not work. Raises `ConfigError`, which says why."""
    problem = next(_problems(kind, role, installed), None)
    if problem is not None:
        raise ConfigError(f"{kind!r} is no name for a plugin: {problem}; nothing was written")


def _problems(kind: str, role: Role, installed: Registry) -> Iterator[str]:
    if not _NAME.fullmatch(kind):
        yield "expected lower-case letters, digits and single '-'"
        return
    package = package_name(kind)
    for word in (package, class_name(kind)):
        if keyword.iskeyword(word):
            yield f"{word!r} is a keyword of Python"
    if package in sys.stdlib_module_names:
        yield f"Python has a module {package!r} of its own"
    if package in _WRITTEN_BESIDE:
        yield f"its package {package!r} would stand in the way of its own tests"
    for found in installed.offers:
        if (found.role, found.offer.kind) == (role, kind):
            yield f"{found.distribution} {found.version} offers {role} {kind!r} already, and two are refused"
    if _is_installed(kind):
        yield f"a distribution {kind!r} is installed already"
    if find_spec(package) is not None:
        yield f"a module {package!r} can be imported already, and hides it or is hidden by it"


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
