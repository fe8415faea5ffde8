"""What came of a run, and the forms in which it is told: a table to paste, JSON, and JUnit's XML."""

from __future__ import annotations

import enum
import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import attrs

from kroma_core.errors import ConfigError

_TEXT_LIMIT = 4000


class Outcome(enum.StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    """The client came to something else, or did not get there in time."""
    SKIPPED = "skipped"
    """The client, or whoever runs it, says that it cannot know this chain."""


@attrs.frozen(kw_only=True)
class Result:
    """Of one chain. `reason`: in a sentence, where it did not pass; `log`: the end of what the client wrote."""

    chain: str
    family: str
    forks: tuple[str, ...]
    outcome: Outcome
    seconds: float
    reason: str = ""
    log: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class Report:
    """A whole run: which client, by which procedure, and every chain's result."""

    client: str
    procedure: str
    suite: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether something passed, and nothing failed."""
        counts = self.counts()
        return counts[Outcome.PASSED] > 0 and not counts[Outcome.FAILED]

    def counts(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    def summary(self) -> str:
        counts = self.counts()
        return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)

    def write(self, path: Path) -> None:
        """In the form that the name's ending says. Raises `ConfigError` where it says none."""
        path.write_text(form_of(path)(self) + "\n")

    def markdown(self) -> str:
        """The conformance table, for a README: a row for each family and latest upgrade."""
        rows: dict[tuple[str, str], Counter[Outcome]] = {}
        for result in self.results:
            rows.setdefault((result.family, result.forks[-1]), Counter())[result.outcome] += 1
        lines = [
            f"### Derivation conformance: {self.client}",
            "",
            f"{self.summary()} ({self.procedure}; {self.suite})",
            "",
            "| Family | Chains up to | Passed | Failed | Skipped |",
            "|---|---|---|---|---|",
        ]
        age = {(one.family, one.forks[-1]): len(one.forks) for one in self.results}
        for family, fork in sorted(rows, key=lambda row: (row[0] != "op", row[0], age[row])):
            counts = rows[family, fork]
            lines.append(f"| {family} | {fork} | {' | '.join(str(counts[outcome]) for outcome in Outcome)} |")
        for outcome in (Outcome.FAILED, Outcome.SKIPPED):
            reasons: dict[str, list[str]] = {}
            for one in self.results:
                if one.outcome is outcome:
                    reasons.setdefault(one.reason, []).append(f"`{one.chain}`")
            told = [f"- {', '.join(chains)}: {reason}" for reason, chains in reasons.items()]
            lines += ["", f"{outcome.capitalize()}:", "", *told] if told else []
        return "\n".join(lines)

    def json(self) -> str:
        found: dict[str, Any] = {
            "format": "derivation-report/1",
            "client": self.client,
            "procedure": self.procedure,
            "suite": self.suite,
            "counts": {outcome.value: self.counts()[outcome] for outcome in Outcome},
            "results": [attrs.asdict(result) for result in self.results],
        }
        return json.dumps(found, indent=1)

    def junit(self) -> str:
        counts = self.counts()
        whole = ElementTree.Element(
            "testsuite",
            name=f"{self.suite}: {self.procedure}: {self.client}",
            tests=str(len(self.results)),
            failures=str(counts[Outcome.FAILED]),
            skipped=str(counts[Outcome.SKIPPED]),
            errors="0",
            time=f"{sum(result.seconds for result in self.results):.3f}",
        )
        for result in self.results:
            case = ElementTree.SubElement(
                whole,
                "testcase",
                classname=f"{result.family}.{result.forks[-1]}",
                name=result.chain,
                time=f"{result.seconds:.3f}",
            )
            if result.outcome is Outcome.FAILED:
                ElementTree.SubElement(case, "failure", message=_xml(result.reason)).text = _xml(result.log)
            elif result.outcome is Outcome.SKIPPED:
                ElementTree.SubElement(case, "skipped", message=_xml(result.reason))
        return ElementTree.tostring(whole, encoding="unicode", xml_declaration=True)


FORMS = {".md": Report.markdown, ".json": Report.json, ".xml": Report.junit}


def form_of(path: Path) -> Any:
    """How a report with that name is written. Raises `ConfigError`."""
    form = FORMS.get(path.suffix)
    if form is None:
        raise ConfigError(f"{path}: a report is called .md (a table), .json, or .xml (JUnit)")
    return form


def _xml(text: str) -> str:
    """Without what XML cannot hold: the control characters of a colourful log."""
    return "".join(sign for sign in text[-_TEXT_LIMIT:] if sign >= " " or sign in "\n\t")
