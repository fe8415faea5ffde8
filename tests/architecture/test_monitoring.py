"""The dashboard and the alert rules name figures that a node has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kroma_core.node.metrics import NodeMetrics
from kroma_core.status import SyncStatus
from tests.architecture.sources import ROOT
from tests.node.test_metrics import EVENTS, l1_ref

MONITORING = ROOT / "examples" / "monitoring"
_EXPRESSION = re.compile(r"^\s*expr: (.+)$", re.MULTILINE)
_STRING_OR_RANGE = re.compile(r'"[^"]*"|\[\w+\]')
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_WORDS = frozenset(
    [
        "and",
        "or",
        "unless",
        "by",
        "ignoring",
        "on",
        "without",
        "sum",
        "rate",
        "increase",
        "changes",
        "time",
        "histogram_quantile",
        "le",
        "type",
        "layer",
        "part",
        "server",
        "outcome",
        "how",
        "rpc",
        "method",
        "request",
        "subject",
        "reason",
        "job",
        "up",
    ]
)  # functions and labels; `up` is Prometheus' own


def expressions() -> Iterator[str]:
    yield from _EXPRESSION.findall((MONITORING / "alerts.yml").read_text())
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def names_in(expression: str) -> set[str]:
    return {name for name in _NAME.findall(_STRING_OR_RANGE.sub("", expression)) if name not in _WORDS}


def series_of_a_node() -> set[str]:
    metrics = NodeMetrics(version="1", clock=lambda: 1.0)
    metrics.attach(lambda: SyncStatus(head_l1=l1_ref(1)))
    for event in EVENTS:
        metrics.on_event(event)
    families = text_string_to_metric_families(metrics.page().decode())
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_figure_that_an_example_names_exists(expression: str) -> None:
    named = names_in(expression)
    assert named - series_of_a_node() == set()
    assert named or expression.startswith("up{")


def test_a_figure_that_does_not_exist_would_be_found() -> None:
    assert names_in('rate(kroma_no_such_thing_total{part="l1"}[5m])') - series_of_a_node() == {
        "kroma_no_such_thing_total"
    }


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
