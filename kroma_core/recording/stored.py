"""Reading the project's own format. Rows are fetched and unpacked one at a time: a file may be larger than memory."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType, UnionType
from typing import Any, Self, TypeAlias

from kroma_core.codec.json_text import json_loads
from kroma_core.recording.expected_json import expected_block, expected_output
from kroma_core.recording.json_fields import Fields
from kroma_core.recording.layout import (
    APPLICATION_ID,
    BLOB_SIZE,
    COUNTED,
    DIGESTED,
    FORMAT,
    SCHEMA_VERSION,
    SQLITE_MAGIC,
    digest,
    split,
    unpack,
)
from kroma_core.recording.problems import Problem, l1_block_name, l2_block_name, refuse, shown
from kroma_core.recording.values import (
    About,
    ExpectedBlock,
    ExpectedOutput,
    SafeAfter,
    StoredBlob,
    StoredLink,
    TimelineStep,
)
from kroma_core.types import BlockId, Hash32

__all__ = ["FORMAT", "SQLITE_MAGIC", "StoredExpected", "StoredRecording"]


Kind: TypeAlias = "type | UnionType"
"""What a column holds: a type, or a union of them."""


class _Rows:
    """Queries on the file; what SQLite or a row's types refuse becomes a `RecordingError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            uri = path.absolute().as_uri() + "?mode=ro"
            self.connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise refuse(path, "file", "content", expected="a readable database", got=error) from error

    def all(self, part: str, query: str, arguments: Sequence[object], *kinds: Kind) -> list[tuple[Any, ...]]:
        return list(self.each(part, query, arguments, *kinds))

    def one(self, part: str, query: str, arguments: Sequence[object], *kinds: Kind) -> tuple[Any, ...] | None:
        return next(self.each(part, query, arguments, *kinds), None)

    def each(self, part: str, query: str, arguments: Sequence[object], *kinds: Kind) -> Iterator[tuple[Any, ...]]:
        """Rows whose columns are of `kinds`; of any kind where none are given."""
        try:
            for row in self.connection.execute(query, arguments):
                for column, (value, kind) in enumerate(zip(row, kinds, strict=bool(kinds))):
                    if not isinstance(value, kind):
                        wanted, got = getattr(kind, "__name__", kind), type(value).__name__
                        raise refuse(self.path, part, f"column {column}", expected=wanted, got=got)
                yield row
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise refuse(self.path, part, "row", expected="a readable database", got=error) from error

    def count(self, table: str) -> int:
        row = self.one(table, f"SELECT count(*) FROM {table}", (), int)
        return int(row[0]) if row else 0


class StoredExpected:
    """The expected chain of a stored recording."""

    def __init__(self, rows: _Rows, block_count: int) -> None:
        self._rows = rows
        self.block_count = block_count

    def block(self, number: int) -> ExpectedBlock | None:
        return self._block("number = ?", number)

    def by_hash(self, block_hash: Hash32) -> ExpectedBlock | None:
        return self._block("hash = ?", block_hash)

    def child(self, parent_hash: Hash32) -> ExpectedBlock | None:
        return self._block("parent_hash = ?", parent_hash)

    def blocks(self) -> Iterator[ExpectedBlock]:
        query = "SELECT number, size, data FROM expected_block ORDER BY number"
        for row in self._rows.each("expected blocks", query, (), int, int, bytes):
            yield self._decoded(*row)

    def safe_after(self, step: int) -> SafeAfter | None:
        part = f"expected step {step}"
        query = (
            "SELECT l1_head, safe_hash, safe_number, derived_hash, derived_number FROM expected_step WHERE position = ?"
        )
        row = self._rows.one(part, query, (step,), bytes, bytes, int, bytes | None, int | None)
        if row is None:
            return None
        l1_head, safe_hash, safe_number, derived_hash, derived_number = row
        derived = None if derived_hash is None or derived_number is None else BlockId(derived_hash, derived_number)
        return SafeAfter(l1_head=l1_head, safe_l2=BlockId(safe_hash, safe_number), derived_l1=derived)

    def output(self, number: int) -> ExpectedOutput | None:
        part = f"expected output {number}"
        query = "SELECT size, data FROM expected_output WHERE number = ?"
        row = self._rows.one(part, query, (number,), int, bytes)
        return None if row is None else expected_output(self._object(row[0], row[1], part))

    def _block(self, where: str, key: object) -> ExpectedBlock | None:
        query = f"SELECT number, size, data FROM expected_block WHERE {where}"
        row = self._rows.one("expected block", query, (key,), int, int, bytes)
        return None if row is None else self._decoded(*row)

    def _decoded(self, number: int, size: int, data: bytes) -> ExpectedBlock:
        part = l2_block_name(number)
        block = expected_block(self._object(size, data, part))
        if block.number != number:
            raise refuse(self._rows.path, part, "number", expected=number, got=block.number)
        return block

    def _object(self, size: int, data: bytes, part: str) -> Fields:
        path = self._rows.path
        text = unpack(data, size, file=path, part=part, field="data")
        return Fields.of(_parsed(text, path, part), file=path, part=part)


class StoredRecording:
    """A recording in the project's own format, opened for reading."""

    format = FORMAT

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = rows = _Rows(path)
        try:
            self._expect_pragma("application_id", APPLICATION_ID, "a recording")
            self._expect_pragma("user_version", SCHEMA_VERSION, f"schema {SCHEMA_VERSION}")
            self._contents = contents = Fields.of(self._section("contents"), file=path, part="section contents")
            self._counts = {table: contents.number(table) for table in COUNTED}
            for table, count in self._counts.items():
                if (got := rows.count(table)) != count:
                    raise refuse(path, table, "rows", expected=count, got=got)
            about = self._section("about") or {}
            self.about = About(**{key: str(about.get(key, "")) for key in ("name", "summary", "made_by")})
            config = self._section("rollup_config")
            if config is None:
                raise refuse(path, "section rollup_config", "value", expected="a rollup config", got="nothing")
            self.rollup_config: Mapping[str, Any] = config
            self.l1_chain_config: Mapping[str, Any] | None = self._section("l1_chain_config")
            self.l2_genesis: Mapping[str, Any] | None = self._section("l2_genesis")
            self._span = self._lowest_and_highest()
        except BaseException:
            rows.connection.close()
            raise
        has_expected = self._counts["expected_block"] or self._counts["expected_step"]
        self.expected: StoredExpected | None = (
            StoredExpected(rows, self._counts["expected_block"]) if has_expected else None
        )

    def link(self, block_hash: Hash32) -> StoredLink | None:
        query = "SELECT number, parent_hash FROM l1_block WHERE hash = ?"
        row = self._rows.one(f"L1 block 0x{block_hash.hex()}", query, (block_hash,), int, bytes)
        return None if row is None else StoredLink(hash=block_hash, number=row[0], parent_hash=row[1])

    def at(self, number: int) -> tuple[StoredLink, ...]:
        query = "SELECT hash, parent_hash FROM l1_block WHERE number = ? ORDER BY position"
        found = self._rows.each(f"L1 block {number}", query, (number,), bytes, bytes)
        return tuple([StoredLink(hash=row[0], number=number, parent_hash=row[1]) for row in found])

    def span(self) -> tuple[int, int]:
        return self._span

    def links(self) -> Iterator[StoredLink]:
        query = "SELECT hash, number, parent_hash FROM l1_block ORDER BY position"
        for row in self._rows.each("L1 blocks", query, (), bytes, int, bytes):
            yield StoredLink(hash=row[0], number=row[1], parent_hash=row[2])

    def header(self, block_hash: Hash32) -> bytes | None:
        query = "SELECT header FROM l1_block WHERE hash = ?"
        row = self._rows.one(f"L1 block 0x{block_hash.hex()}", query, (block_hash,), bytes)
        return None if row is None else bytes(row[0])

    def transactions(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        return self._list("transactions", block_hash)

    def receipts(self, block_hash: Hash32) -> tuple[bytes, ...] | None:
        return self._list("receipts", block_hash)

    def blob(self, versioned_hash: Hash32) -> StoredBlob | None:
        part = f"blob 0x{versioned_hash.hex()}"
        query = "SELECT commitment, proof, data FROM blob WHERE versioned_hash = ?"
        row = self._rows.one(part, query, (versioned_hash,), bytes, bytes, bytes)
        if row is None:
            return None
        data = unpack(row[2], BLOB_SIZE, file=self.path, part=part, field="data")
        return StoredBlob(versioned_hash=versioned_hash, data=data, commitment=row[0], proof=row[1])

    def blob_hashes(self) -> Iterator[Hash32]:
        for row in self._rows.each("blobs", "SELECT versioned_hash FROM blob ORDER BY position", (), bytes):
            yield row[0]

    @property
    def step_count(self) -> int:
        return self._counts["step"]

    def step(self, index: int) -> TimelineStep:
        part = f"timeline step {index}"
        query = "SELECT unsafe, safe, finalized FROM step WHERE position = ?"
        row = self._rows.one(part, query, (index,), bytes, bytes | None, bytes | None)
        if row is None:
            raise refuse(self.path, part, "row", expected="in the recording", got="missing")
        return TimelineStep(unsafe=row[0], safe=row[1], finalized=row[2])

    def damage(self) -> Iterator[Problem]:
        """What is wrong with the file as a database, and with rows that no hash of a chain covers."""
        row = self._rows.one("file", "PRAGMA integrity_check(1)", (), str)
        if row is not None and row[0] != "ok":
            yield Problem(file=self.path, part="file", field="structure", expected="ok", got=shown(row[0]))
            return
        for table, query in DIGESTED.items():
            wanted, got = self._contents.text(f"{table}_sha256"), digest(self._rows.each(table, query, ()))
            if got != wanted:
                yield Problem(file=self.path, part=table, field="sha256", expected=wanted, got=got)

    def close(self) -> None:
        self._rows.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lowest_and_highest(self) -> tuple[int, int]:
        query = "SELECT (SELECT min(number) FROM l1_block), (SELECT max(number) FROM l1_block)"  # each by the index
        row = self._rows.one("L1 blocks", query, (), int | None, int | None)
        if row is None or row[0] is None:
            raise refuse(self.path, "L1 blocks", "count", expected="at least one", got="none")
        return int(row[0]), int(row[1])

    def _list(self, column: str, block_hash: Hash32) -> tuple[bytes, ...] | None:
        query = f"SELECT number, {column}_size, {column} FROM l1_block WHERE hash = ?"
        row = self._rows.one(f"L1 block 0x{block_hash.hex()}", query, (block_hash,), int, int, bytes)
        if row is None:
            return None
        part = l1_block_name(row[0], block_hash)
        data = unpack(row[2], row[1], file=self.path, part=part, field=column)
        return split(data, file=self.path, part=part, field=column)

    def _section(self, name: str) -> dict[str, Any] | None:
        part = f"section {name}"
        query = "SELECT size, sha256, data FROM section WHERE name = ?"
        row = self._rows.one(part, query, (name,), int, bytes, bytes)
        if row is None:
            if name == "contents":
                raise refuse(self.path, part, "row", expected="in the file", got="missing: it was not finished")
            return None
        text = unpack(row[2], row[0], file=self.path, part=part, field="data")
        if (digest := hashlib.sha256(text).digest()) != row[1]:
            raise refuse(self.path, part, "sha256", expected=row[1], got=digest)
        return Fields.of(_parsed(text, self.path, part), file=self.path, part=part).object

    def _expect_pragma(self, name: str, value: int, meaning: str) -> None:
        row = self._rows.one("file", f"PRAGMA {name}", (), int)
        got = None if row is None else row[0]
        if got != value:
            raise refuse(self.path, "file", name, expected=f"{value} ({meaning})", got=got)


def _parsed(text: bytes, path: Path, part: str) -> Any:
    try:
        return json_loads(text)
    except ValueError as error:
        raise refuse(path, part, "data", expected="JSON", got=error) from error
