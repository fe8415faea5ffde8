"""One run of the kit: collects the suites of an offer, and reports how far it came."""

from __future__ import annotations

import importlib
import platform
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from kroma_core.api import API_VERSION, Role
from kroma_core.testing.conformance import LEVELS, Wanted, suites
from kroma_core.testing.installed import Installed, installed_offer
from kroma_core.testing.levels import level_of

_LEVEL = "kroma_level"
PLACE = Path(suites.__file__)


class SuiteModule(pytest.Module):
    """The file that the tests seem to stand in: its classes are made for the offer."""

    def _getobj(self) -> ModuleType:
        session: Any = self.config.pluginmanager.get_plugin("kroma-conformance-session")
        return suites.tests_of(session.found, session.maker)


@attrs.define(kw_only=True, eq=False)
class ConformanceSession:
    """The hooks of a run; `counts` has results by level: passed, failed, not shown."""

    found: Installed
    maker: type | None
    level: str
    report_file: Path | None
    counts: dict[str, list[int]] = attrs.field(factory=lambda: {name: [0, 0, 0] for name in LEVELS})
    failed: list[str] = attrs.field(factory=list)
    missing: dict[str, str] = attrs.field(factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module | None:
        return SuiteModule.from_parent(parent, path=module_path) if module_path == PLACE else None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept: list[pytest.Item] = []
        above: list[pytest.Item] = []
        for item in items:
            reached = level_of(getattr(item, "function", None)).value
            item.user_properties.append((_LEVEL, reached))
            (kept if LEVELS.index(reached) <= LEVELS.index(self.level) else above).append(item)
        config.hook.pytest_deselected(items=above)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reached = dict(report.user_properties).get(_LEVEL)
        if not isinstance(reached, str):
            return
        name = report.nodeid.partition("::")[2].replace("::", ".")
        if report.skipped:
            self.counts[reached][2] += 1
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.missing[name] = reason.removeprefix("Skipped: ")
        elif report.failed:
            self.counts[reached][1] += 1
            self.failed.append(name)
        elif report.when == "call":
            self.counts[reached][0] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        text = self.report()
        terminalreporter.section("conformance report (Markdown)")
        terminalreporter.write_line(text)
        if self.report_file is not None:
            self.report_file.write_text(text + "\n")

    def reached(self) -> str:
        """The highest level up to which something was shown and nothing failed."""
        level = "none"
        for name in LEVELS:
            passed, failed, _ = self.counts[name]
            if failed or not passed:
                break
            level = name
        return level

    def report(self) -> str:
        """Markdown for a README."""
        found = self.found
        lines = [
            f"### Conformance: {found.role} `{found.offer.kind}` of {found.distribution} {found.version}",
            "",
            f"Level reached: **{self.reached()}** "
            f"(kroma-core {metadata.version('kroma-core')}, plugin API {API_VERSION}, "
            f"Python {platform.python_version()})",
            "",
            "| Level | Passed | Failed | Not shown |",
            "|---|---|---|---|",
            *(f"| {name} | {passed} | {failed} | {no} |" for name, (passed, failed, no) in self.counts.items()),
        ]
        if self.maker is None:
            lines += ["", f"Only what is declared was looked at: {_how_to_give_a_maker(found)}."]
        if self.failed:
            lines += ["", "Failed:", "", *(f"- `{name}`" for name in self.failed)]
        if self.missing:
            lines += ["", "Not shown:", "", *(f"- `{name}`: {reason}" for name, reason in self.missing.items())]
        return "\n".join(lines)


def prepared(config: pytest.Config, wanted: Wanted) -> ConformanceSession:
    """The run that the option asks for. Raises `pytest.UsageError` where there is no such offer, or several."""
    try:
        role = None if wanted.role is None else Role(wanted.role)
    except ValueError:
        raise pytest.UsageError(f"role={wanted.role}: expected one of {', '.join(Role)}") from None
    try:
        found = installed_offer(wanted.kind, role)
    except LookupError as error:
        raise pytest.UsageError(str(error)) from None
    given: str | None = config.getoption("--kroma-report")
    session = ConformanceSession(
        found=found,
        maker=_maker(config, found, wanted),
        level=config.getoption("--kroma-level"),
        report_file=None if given is None else Path(given),
    )
    config.args = [str(PLACE)]
    return session


def _maker(config: pytest.Config, found: Installed, wanted: Wanted) -> type | None:
    if wanted.maker is None:
        given: type | None = config.hook.pytest_kroma_maker(role=found.role.value, kind=found.offer.kind)
        return given or suites.default_maker(found)
    module, _, name = wanted.maker.partition(":")
    try:
        maker: type = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"maker={wanted.maker}: {error}") from error
    return maker


def _how_to_give_a_maker(found: Installed) -> str:
    return (
        f"how a {found.role} part is opened, its author has to say (maker=MODULE:CLASS, or `pytest_kroma_maker` in "
        "conftest.py)"
    )
