"""docs/recordings.md says what the formats are."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from kroma_core.recording import layout

DOCUMENT = (Path(__file__).parents[2] / "docs" / "recordings.md").read_text()


def columns(script: str) -> dict[str, list[str]]:
    """Tables with their columns, as SQLite understands a script."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


def test_the_documented_tables_are_those_that_are_written() -> None:
    (script,) = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
    assert columns(script) == columns(layout.TABLES)


def test_the_documented_marks_are_those_that_are_written() -> None:
    assert f"`application_id` is `0x{layout.APPLICATION_ID:08X}`" in DOCUMENT
    assert layout.APPLICATION_ID.to_bytes(4, "big") == b"KRM1"
    assert f"`user_version` is {layout.SCHEMA_VERSION}" in DOCUMENT
    assert f"none may exceed {layout.MAX_ROW >> 20} MiB" in DOCUMENT
    assert layout.FORMAT in DOCUMENT
    assert all(f"`{table}`" in DOCUMENT for table in layout.DIGESTED)


def test_a_digest_is_as_documented() -> None:
    rows = [(0, b"\xab\xcd", None), (12, b"", b"\0")]
    # printf '0,abcd,\n12,,00\n' | sha256sum
    assert layout.digest(rows) == "0x84f6d61dc0bd00287a335253dfb2af1ecb1f6867eb0903e02936c1e1ae21b476"
