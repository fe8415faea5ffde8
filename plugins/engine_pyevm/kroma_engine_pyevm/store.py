"""Key-value stores: in memory, or on disk in RocksDB."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rocksdict import AccessType, Options, Rdict, WriteBatch

from kroma_core.errors import ConfigError


class Store(Protocol):
    """Bytes by bytes. A `write` is there as a whole or not at all, also after the process was killed."""

    def get(self, key: bytes) -> bytes | None: ...

    def write(self, entries: Mapping[bytes, bytes]) -> None: ...

    def close(self) -> None: ...


class MemoryStore:
    """Forgets everything when it is closed; for replays and tests."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        self._entries.update(entries)

    def close(self) -> None:
        self._entries = {}
