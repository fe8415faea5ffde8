"""The files of a new plugin, by path, as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from kroma_core.api import API_VERSION, Role
from kroma_core.api.hooks import HOOK_OF_ROLE
from kroma_core.cli.new_plugin.names import class_name, package_name
from kroma_core.cli.new_plugin.protocol_source import skeleton_of
from kroma_core.cli.new_plugin.roles import ROLES, RoleText


def plugin_files(kind: str, role: Role) -> dict[str, str]:
    """Every file of the distribution `kind` with one offer of that kind; see `names.check_name` for the name."""
    text, package, part = ROLES[role], package_name(kind), class_name(kind)
    return {
        "pyproject.toml": _project(kind, package, text),
        "README.md": _readme(kind, role, text),
        f"{package}/__init__.py": f'"""The {text.noun} `{kind}`."""\n',
        f"{package}/py.typed": "",
        f"{package}/offers.py": _offers(kind, package, part, role, text),
        f"{package}/part.py": _part(kind, part, text),
        "tests/conftest.py": _conftest(kind, role),
        "tests/maker.py": _maker(kind, text),
        "tests/test_conformance.py": _tests(kind, role),
    }


def _project(kind: str, package: str, text: RoleText) -> str:
    return f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{kind}"
version = "0.1.0"
description = "The {text.noun} {kind} for a Kroma node"
readme = "README.md"
# license = "MIT"        # yours to choose, before it is published
requires-python = ">=3.11"
dependencies = ["attrs>=23.2", "kroma-core>=0.1,<1", "trio>=0.26"]

[project.optional-dependencies]
dev = ["pytest>=8.2"]

[project.entry-points."kroma.plugins"]
{package} = "{package}.offers"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.ruff]
line-length = 120
"""


def _readme(kind: str, role: Role, text: RoleText) -> str:
    return f"""\
# {kind}

The {text.noun} `{kind}` for a Kroma node.

```sh
pip install -e .
kroma plugins                                # lists it
pytest                                       # what is still to be written is red
pytest --kroma-conformance kind={kind}       # the same suites, with a report for this page
```

The part is in `part.py`, its settings in `offers.py`. `tests/maker.py` says how the tests open it.
Role: `{role}`.
"""


def _offers(kind: str, package: str, part: str, role: Role, text: RoleText) -> str:
    protocol = text.protocols[0].__name__
    names = sorted(
        {"Offer", "PluginContext", "hookimpl", protocol, *(["Capability"] if text.capabilities else [])},
        key=lambda name: (name.islower(), name),
    )
    claimed = f"\n            capabilities=frozenset({{{text.capabilities}}})," if text.capabilities else ""
    return f'''\
"""What a profile may name: `{kind}` as {text.noun}.

This module is loaded to list what is installed: import nothing heavy here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
from kroma_core.api import {", ".join(names)}


@attrs.frozen(kw_only=True)
class {part}Settings:
    """What a profile may say about it. Every setting needs a text under it."""

    timeout: float = 10.0
    """Seconds until a call counts as unanswered."""


@asynccontextmanager
async def open_part(settings: {part}Settings, context: PluginContext) -> AsyncIterator[{protocol}]:
    from {package}.part import {part}

    yield {part}(settings.timeout)


@hookimpl
def {HOOK_OF_ROLE[role]}() -> Sequence[Offer[{protocol}]]:
    return [
        Offer(
            kind="{kind}",
            config={part}Settings,
            open=open_part,
            summary="{text.noun} that is still to be written",{claimed}
            api={API_VERSION},
        )
    ]
'''


def _part(kind: str, part: str, text: RoleText) -> str:
    skeleton = skeleton_of(text.protocols, kind)
    imports = _sorted_imports([*skeleton.imports, "from kroma_core.errors import CriticalError"])
    return f'''\
"""The {text.noun} itself."""

from __future__ import annotations

{imports}


class {part}:
    """Say here what it stands on."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

{skeleton.methods}'''


def _maker(kind: str, text: RoleText) -> str:
    imports = _sorted_imports(
        [
            *text.maker_imports,
            "from pathlib import Path",
            "from typing import Any",
            "from kroma_core.testing.conformance.suites import opened"
            + ("" if "scripted_chain" not in text.maker else ", scripted_chain"),
            "from kroma_core.api import Role",
            "from kroma_core.testing.installed import installed_offer",
        ]
    )
    return f'''\
"""How the tests open the part."""

from __future__ import annotations

{imports}

KIND = "{kind}"


class Maker:
    """The methods that the suite leaves open; its docstrings say more."""

{text.maker}'''


def _conftest(kind: str, role: Role) -> str:
    return f'''\
"""Tells `pytest --kroma-conformance kind={kind}` how the part is opened."""

from __future__ import annotations

from maker import Maker


def pytest_kroma_maker(role: str, kind: str) -> type | None:
    return Maker if (role, kind) == ("{role}", "{kind}") else None
'''


def _tests(kind: str, role: Role) -> str:
    imports = [
        "from maker import KIND, Maker",
        "from kroma_core.api import Role",
        "from kroma_core.testing.conformance.suites import suites_of",
        "from kroma_core.testing.installed import installed_offer",
    ]
    return f'''\
"""What the role asks of it, and what it claims. `pytest --kroma-conformance kind={kind}` runs the same.

The classes are made here: what the offer declares, the suite of its role, and one for each optional protocol it claims.
"""

from __future__ import annotations

{_sorted_imports(imports)}

globals().update(suites_of(installed_offer(KIND, Role.{role.name}), Maker))
'''


def _sorted_imports(lines: Iterable[str]) -> str:
    """Import lines with the names of one module in one line: the standard library's, then others.

    The order is that of ruff where nothing is configured but the length of a line.
    """
    names: dict[str, set[str]] = {}
    for line in lines:
        module, _, imported = line.removeprefix("from ").partition(" import ")
        names.setdefault(module, set()).update(imported.split(", "))
    written = {module: f"from {module} import {', '.join(sorted(found))}" for module, found in names.items()}
    standard = [written[module] for module in sorted(written) if module.partition(".")[0] in sys.stdlib_module_names]
    others = [line for _, line in sorted(written.items()) if line not in standard]
    return "\n\n".join("\n".join(group) for group in (standard, others) if group)
