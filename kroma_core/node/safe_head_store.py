"""The file of the safe-head log: one SQLite table, written ahead (WAL), so that a killed process leaves it whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from kroma_core.errors import CriticalError, KromaError
from kroma_core.types import BlockId

SAFE_HEADS = "safe_heads.sqlite"
"""The name of the file, in the data folder."""

SCHEMA = 1
"""Raised when the table changes its form; a file of another form is set aside."""

_TABLE = """
CREATE TABLE safe_heads (
    l1_number INTEGER PRIMARY KEY, l1_hash BLOB NOT NULL, safe_number INTEGER, safe_hash BLOB
) STRICT
"""
_COLUMNS = "l1_number, l1_hash, safe_number, safe_hash"


@attrs.frozen(kw_only=True)
class Entry:
    """After what was derived from `l1`, `safe` was the safe head; None: from this L1 number on it is not known."""

    l1: BlockId
    safe: BlockId | None


class StoreDamaged(KromaError):
    """The file is not what this program wrote."""


class SafeHeadStore:
    """Reads are for one thread, writes for one other (or the same). Raises `CriticalError` and `StoreDamaged`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _telling("open", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                _prepare(self._writer, path)
                self._reader = sqlite3.connect(path, isolation_level=None)
                next(self.up_to(None), None)
            except BaseException:
                self._writer.close()
                raise

    def up_to(self, l1_number: int | None) -> Iterator[Entry]:
        """Entries up to an L1 number (None: all), highest first."""
        query = f"SELECT {_COLUMNS} FROM safe_heads WHERE l1_number <= ? ORDER BY l1_number DESC"
        return self._read(query, _NO_BOUND if l1_number is None else l1_number)

    def reaching(self, safe_number: int, l1_from: int, l1_before: int | None) -> Iterator[Entry]:
        """Entries whose safe head is at `safe_number` or above it, of L1 numbers in a range, lowest first."""
        query = (
            f"SELECT {_COLUMNS} FROM safe_heads "
            "WHERE l1_number >= ? AND l1_number < ? AND safe_number >= ? ORDER BY l1_number"
        )
        return self._read(query, l1_from, _NO_BOUND if l1_before is None else l1_before, safe_number)

    def _read(self, query: str, *values: int) -> Iterator[Entry]:
        with _telling("read", self.path), closing(self._reader.cursor()) as cursor:
            for row in cursor.execute(query, values):
                yield _entry(row)

    def write(self, cut: int | None, entries: Sequence[Entry]) -> None:
        """Forget everything from L1 number `cut` on, then add entries: all of it or nothing."""
        rows = [_row(entry) for entry in entries]
        with _telling("write", self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                if cut is not None:
                    self._writer.execute("DELETE FROM safe_heads WHERE l1_number >= ?", (cut,))
                self._writer.executemany("INSERT OR REPLACE INTO safe_heads VALUES (?, ?, ?, ?)", rows)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def set_aside(self) -> Path:
        """Close the file and give it another name, so that a new one can be begun; returns that name."""
        self.close()
        return set_aside(self.path)


def set_aside(path: Path) -> Path:
    """Rename a database and the files that belong to it; returns the new name. Raises `CriticalError`."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise CriticalError(f"set the damaged safe-head log {path} aside: {error.strerror or error}") from error
    return aside


_NO_BOUND = (1 << 63) - 1


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the table in a new file, or see that it is there."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a crash of the machine the last
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA:
        return
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version != 0 or tables != 0:
        raise StoreDamaged(f"{path}: expected a safe-head log of schema {SCHEMA}, got schema {version}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def _row(entry: Entry) -> tuple[int, bytes, int | None, bytes | None]:
    safe = entry.safe
    return entry.l1.number, entry.l1.hash, None if safe is None else safe.number, None if safe is None else safe.hash


def _entry(row: tuple[int, bytes, int | None, bytes | None]) -> Entry:
    l1_number, l1_hash, safe_number, safe_hash = row
    safe = None if safe_number is None or safe_hash is None else BlockId(safe_hash, safe_number)
    return Entry(l1=BlockId(l1_hash, l1_number), safe=safe)


@contextmanager
def _telling(what: str, path: Path) -> Iterator[None]:
    """Sort SQLite's errors: a damaged file can be replaced, anything else is the disk's or the operator's matter."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CriticalError(f"{what} the safe-head log {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(f"{path}: {error}") from error
    except OSError as error:
        raise CriticalError(f"{what} the safe-head log {path}: {error.strerror or error}") from error


def last_stored(path: Path) -> Entry | None:
    """The last entry of a log that is not opened: whoever uses it is not disturbed, and nothing is written.

    None where there is no file, or none that can be read.
    """
    if not path.is_file():
        return None
    # Without a write-ahead log beside it the file is all there is, and SQLite need not look for (or make) one.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    query = f"SELECT {_COLUMNS} FROM safe_heads WHERE safe_number IS NOT NULL ORDER BY l1_number DESC LIMIT 1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else _entry(row)
