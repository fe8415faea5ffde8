"""Two questions to the files that the observer has written: `python query.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds


def table(folder: Path, name: str) -> Any:
    """All closed files of a table, as one."""
    return ds.dataset([str(path) for path in sorted(folder.glob(f"{name}-*.parquet"))], format="parquet").to_table()


def shown(grouped: Any) -> str:
    rows = [
        [str(name) for name in grouped.column_names],
        *([str(v) for v in row.values()] for row in grouped.to_pylist()),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def main(folder: Path) -> None:
    blocks, events = table(folder, "blocks"), table(folder, "events")
    by_batch = blocks.group_by("batch").aggregate([("number", "count"), ("transactions", "sum"), ("gas_used", "sum")])
    print(shown(by_batch.sort_by("batch")))
    print()
    verdicts = events.filter(ds.field("kind") == "Verdict")
    counted = verdicts.group_by(["subject", "outcome", "reason"]).aggregate([("name", "count")])
    print(shown(counted.sort_by([("name_count", "descending"), ("subject", "ascending"), ("reason", "ascending")])))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
