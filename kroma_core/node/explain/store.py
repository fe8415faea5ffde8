"""The file of the verdict store: SQLite, written ahead (WAL), so that a killed process leaves it whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from kroma_core.errors import KromaError
from kroma_core.node.explain.schema import INSERT_MANY, OF_L1, SCHEMA, TABLES, TOGETHER

STORE = "explain.sqlite"
"""The file's name in a node's data folder."""

Change: TypeAlias = tuple[str, Sequence[tuple[Any, ...]]]
"""A statement and the rows of values to execute it with."""

_SHRINK_BY = 10
"""Where there is too much, the oldest of this many parts is given up at a time."""


class StoreProblem(KromaError):
    """The file is not there, cannot be read or written, or is not a verdict store of this form."""


class VerdictStore:
    """One connection. Used by one thread at a time. All methods raise `StoreProblem`."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        """Open the file, or make it; `read_only`: it has to be there. Without `path` it is kept in memory."""
        self.path = path
        with self._telling("open"):
            if path is None:
                self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            elif read_only:
                if not path.is_file():
                    raise StoreProblem(
                        f"{path}: there is no such file: this node has not come as far as deriving, or "
                        "keeps nothing ([explain]); `kroma check --live` looks for what hinders its start"
                    )
                uri = f"{path.absolute().as_uri()}?mode=rw"
                self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            with self._telling("open"):
                self._prepare(read_only=read_only)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, *, read_only: bool) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA:
            if read_only:
                self._connection.execute("PRAGMA query_only = 1")
                return
        elif version or read_only or self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise StoreProblem(f"{self.path}: expected a verdict store of schema {SCHEMA}, got schema {version}")
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if version == SCHEMA:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            self._connection.execute(table)
        self._connection.execute(f"PRAGMA user_version = {SCHEMA}")
        self._connection.execute("COMMIT")

    def write(self, changes: Iterable[Change]) -> None:
        """Execute changes in their order: all of them or none."""
        with self._telling("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in changes:
                    self._execute(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _execute(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        many = INSERT_MANY.get(statement)
        whole = len(rows) - len(rows) % TOGETHER if many is not None else 0
        if many is not None and whole:
            groups = (rows[first : first + TOGETHER] for first in range(0, whole, TOGETHER))
            self._connection.executemany(many, (tuple(chain.from_iterable(group)) for group in groups))
        self._connection.executemany(statement, rows[whole:] if whole else rows)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._telling("read"), closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    def row(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row."""
        with self._telling("read"), closing(self._connection.execute(query, values)) as cursor:
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found

    @property
    def last_id(self) -> int:
        """The highest id that was given; 0 in a new store."""
        tables = " UNION ALL ".join(f"SELECT max(id) AS id FROM {table}" for table in (*OF_L1, "blocks", "runs"))
        (found,) = self.rows(f"SELECT max(id) FROM ({tables})")[0]
        return int(found or 0)

    @property
    def bytes_used(self) -> int:
        """The size of what is stored."""
        ((size,),), ((pages,),), ((free,),) = (
            self.rows(f"PRAGMA {name}") for name in ("page_size", "page_count", "freelist_count")
        )
        return int(size * (pages - free))

    def keep_within(self, *, oldest: float, max_bytes: int) -> None:
        """Give up what is older than `oldest` (seconds since the epoch), then the oldest until the size holds."""
        with self._telling("prune"):
            (old,) = self.row("SELECT max(id) FROM l1_blocks WHERE time < ?", oldest) or (None,)
            if old is not None:
                self._give_up_before(int(old) + 1)
            while self.bytes_used > max_bytes:
                (first,) = self.row("SELECT min(id) FROM l1_blocks") or (None,)
                if first is None:
                    break
                self._give_up_before(int(first) + max((self.last_id - int(first)) // _SHRINK_BY, 1))

    def _give_up_before(self, first: int) -> None:
        self.write([(f"DELETE FROM {table} WHERE id < ?", [(first,)]) for table in (*OF_L1, "blocks")])
        self.write([("DELETE FROM runs WHERE id < (SELECT coalesce(min(run), 0) FROM l1_blocks)", [()])])
        self.rows("PRAGMA incremental_vacuum")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreProblem(f"{what} the verdict store {self.path}: {error}") from error
        except OSError as error:
            raise StoreProblem(f"{what} the verdict store {self.path}: {error.strerror or error}") from error
