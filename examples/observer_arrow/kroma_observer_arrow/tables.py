"""Files of the tables: begun, filled, closed at a size or an age. Everything here blocks; a thread calls it.

A file has its table's name, the time at which it was begun and a number: `blocks-20261121T090000Z-0001.parquet`. Until
it is closed it is called `.part` and is no file of either format yet, for both have their index at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq

from kroma_observer_arrow.offers import Format
from kroma_observer_arrow.rows import SCHEMAS, Row


@attrs.define(kw_only=True)
class _File:
    """An open file of one table."""

    path: Path
    begun: float
    sink: Any
    writer: Any


@attrs.define(kw_only=True)
class Tables:
    """The files that are open, at most one of each table. Sizes in bytes, ages in seconds."""

    folder: Path
    format: Format
    max_bytes: int
    max_seconds: float
    _files: dict[str, _File] = attrs.field(factory=dict, init=False)

    def write(self, rows: Iterable[tuple[str, Row]], now: float) -> None:
        """Add rows, each to its table. Raises `OSError` and `pyarrow.ArrowException`."""
        sorted_rows: dict[str, list[Row]] = {}
        for name, row in rows:
            sorted_rows.setdefault(name, []).append(row)
        for name, found in sorted_rows.items():
            file = self._files.get(name) or self._begin(name, now)
            file.writer.write_table(pa.Table.from_pylist(found, schema=SCHEMAS[name]))
        self.rotate(now)

    def rotate(self, now: float) -> None:
        """Close the files that are large or old enough."""
        for name, file in list(self._files.items()):
            if file.sink.tell() >= self.max_bytes or now - file.begun >= self.max_seconds:
                self._close(name)

    def close(self) -> None:
        """Close all files."""
        for name in list(self._files):
            self._close(name)

    def _begin(self, name: str, now: float) -> _File:
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        count = 1
        while True:
            path = self.folder / f"{name}-{begun}-{count:04}.{self.format}.part"
            if not path.exists() and not path.with_suffix("").exists():
                break
            count += 1
        sink = pa.OSFile(str(path), "wb")
        schema = SCHEMAS[name]
        writer: Any
        if self.format is Format.PARQUET:
            writer = pq.ParquetWriter(sink, schema, compression="zstd")
        else:
            writer = pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        file = self._files[name] = _File(path=path, begun=now, sink=sink, writer=writer)
        return file

    def _close(self, name: str) -> None:
        file = self._files.pop(name)
        try:
            file.writer.close()
        finally:
            file.sink.close()
        file.path.replace(file.path.with_suffix(""))
