"""What the measurements report: one row each, as text for people and as JSON for `bench.run`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
from rich.console import Console
from rich.table import Table


@attrs.frozen(kw_only=True)
class Row:
    """One figure. `ratio` is what counts: ours to the other side's of the same run, more is better.

    `least` is the ratio (or, where there is no other side, the figure) that the project wants; None where a row only
    informs. `other` says why there is no other side, where there could be one.
    """

    what: str
    ours: str
    other: str = ""
    ratio: float | None = None
    least: float | None = None
    met: bool | None = None


def table(rows: Sequence[Row]) -> Table:
    """The rows side by side."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("measured")
    shown.add_column("ours", justify="right")
    shown.add_column("other side", justify="right")
    shown.add_column("ratio", justify="right")
    shown.add_column("wanted", justify="right")
    shown.add_column("")
    for row in rows:
        shown.add_row(
            row.what,
            row.ours,
            row.other or "-",
            "-" if row.ratio is None else f"{row.ratio:.2f}",
            "-" if row.least is None else f"{row.least:g}",
            {None: "", True: "met", False: "MISSED"}[row.met],
        )
    return shown


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows to standard output."""
    if as_json:
        print(json.dumps([attrs.asdict(row) for row in rows]))
    else:
        Console(width=None if Console().is_terminal else 120).print(table(rows))


def rows_from_json(text: str) -> list[Row]:
    """The rows that another measurement printed."""
    return [Row(**item) for item in json.loads(text)]
