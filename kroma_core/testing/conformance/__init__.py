"""The conformance kit as a pytest plugin: `pytest --kroma-conformance kind=my-da`.

It finds the installed offer of that kind and puts it through the suites of its role, instead of the tests of the folder
it is called in. How the part is opened says a *maker*: a class with the methods that the suite leaves open. It comes
from `maker=module:Class`, from a `pytest_kroma_maker` in a conftest.py, or, for parts that need nothing but their
settings' defaults, from the kit itself. Without the option nothing happens, and nothing of the kit is imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import attrs
import pytest

LEVELS = ("declared", "contract", "faults", "load")


class ConformanceHooks:
    """What a conftest.py can tell the kit."""

    @staticmethod
    @pytest.hookspec(firstresult=True)
    def pytest_kroma_maker(role: str, kind: str) -> type | None:
        """The maker for the offer of that role and kind; None where it is another's to give."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What the option says."""

    kind: str
    role: str | None = None
    maker: str | None = None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """`kind=KIND[,role=ROLE][,maker=MODULE:CLASS]`. Raises `pytest.UsageError`."""
        given = dict(item.split("=", 1) for item in text.split(",") if "=" in item)
        unknown = set(given) - {"kind", "role", "maker"}
        if "kind" not in given or unknown or text.count(",") != len(given) - 1:
            raise pytest.UsageError(
                f"--kroma-conformance: expected kind=KIND[,role=ROLE][,maker=MODULE:CLASS], got {text!r}"
            )
        return cls(**given)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kroma", "conformance of plugins of a Kroma node")
    group.addoption(
        "--kroma-conformance",
        metavar="kind=KIND",
        help="put the installed offer of this kind through the suites of its role, instead of running tests; "
        "also role=ROLE and maker=MODULE:CLASS, separated by commas",
    )
    group.addoption(
        "--kroma-level",
        choices=LEVELS,
        default=LEVELS[-1],
        help="leave out the tests above this level (default: %(default)s)",
    )
    group.addoption("--kroma-report", metavar="FILE", help="write the report, as Markdown, to FILE as well")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(ConformanceHooks)


def pytest_configure(config: pytest.Config) -> None:
    given: str | None = config.getoption("--kroma-conformance")
    if given is None:
        return
    beside = pkgutil.iter_modules([str(Path(__file__).parents[1])], "kroma_core.testing.")
    pytest.register_assert_rewrite(*(module.name for module in beside if not module.ispkg))
    session: Any = importlib.import_module("kroma_core.testing.conformance.session")
    config.pluginmanager.register(session.prepared(config, Wanted.parse(given)), "kroma-conformance-session")
