"""Key-value stores: in memory, or on disk in RocksDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch

from kroma_core.errors import CriticalError

_BLOCK_CACHE_BYTES = 64 << 20
_WRITE_BUFFER_BYTES = 32 << 20
_OPEN_FILES = 256


class Store(Protocol):
    """Bytes by bytes. A `write` is there as a whole or not at all, also after the process was killed."""

    def get(self, key: bytes) -> bytes | None: ...

    def write(self, entries: Mapping[bytes, bytes]) -> None: ...


class MemoryStore:
    """Forgets everything when it is closed; for replays and tests."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        self._entries.update(entries)


class RocksStore:
    """On disk. A killed process loses nothing that was written; a crash of the machine may lose the last writes."""

    def __init__(self, database: Rdict, failing: _Failing) -> None:
        self._database = database
        self._failing = failing

    def get(self, key: bytes) -> bytes | None:
        with self._failing:
            value: bytes | None = self._database.get(key)
        return value

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in entries.items():
            batch.put(key, value)
        with self._failing:
            self._database.write(batch)


@contextmanager
def open_rocks(path: Path) -> Iterator[RocksStore]:
    """The store in the folder `path`, made if it is not there. Raises `CriticalError` if another process has it."""
    failing = _Failing(path)
    with failing:
        database = Rdict(str(path), _options())
    try:
        yield RocksStore(database, failing)
    finally:
        with failing:
            database.close()


def _options() -> Options:
    # Keys are hashes and values mostly are, too: nothing to compress, and a bloom filter saves look-ups of what is not
    # there.
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(10, False)
    blocks.set_block_cache(Cache(_BLOCK_CACHE_BYTES))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_open_files(_OPEN_FILES)
    options.set_keep_log_file_num(2)
    return options


class _Failing:
    """Turns the one exception that the library raises, a bare `Exception`, into `CriticalError`.

    After a failed write every call fails, closing too, and says no more than that; the first failure has the cause.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = ""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is Exception:
            self._first = self._first or str(error)
            raise CriticalError(f"engine store {self._path}: {self._first}") from error
