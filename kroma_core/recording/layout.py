"""The tables and rows of the project's own recording format, shared by its writer and its reader.

A recording is an SQLite database. Rows that hold chain data are zlib streams; a stream is read only up to the size that
is announced beside it. docs/recordings.md describes the format for other clients.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from kroma_core.codec.rlp import decode_list, encode_bytes, encode_list
from kroma_core.errors import DecodeError
from kroma_core.recording.problems import refuse

FORMAT = "kroma-recording/1"
SQLITE_MAGIC = b"SQLite format 3\x00"
APPLICATION_ID = 0x4B52_4D31
"""`KRM1`, in the database's header: what `file` and the reader know the format by."""
SCHEMA_VERSION = 1

MAX_ROW = 256 << 20
"""Bytes that one row may hold once unpacked: the transactions of one L1 block, or a genesis file."""
BLOB_SIZE = 131_072

TABLES = """
CREATE TABLE section (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE l1_block (
    position INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    parent_hash BLOB NOT NULL,
    header BLOB NOT NULL,
    transactions_size INTEGER NOT NULL,
    transactions BLOB NOT NULL,
    receipts_size INTEGER NOT NULL,
    receipts BLOB NOT NULL
);
CREATE INDEX l1_block_number ON l1_block (number);
CREATE TABLE blob (
    position INTEGER PRIMARY KEY,
    versioned_hash BLOB NOT NULL UNIQUE,
    commitment BLOB NOT NULL,
    proof BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE step (
    position INTEGER PRIMARY KEY,
    unsafe BLOB NOT NULL,
    safe BLOB,
    finalized BLOB
);
CREATE TABLE expected_block (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    parent_hash BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE expected_step (
    position INTEGER PRIMARY KEY,
    l1_head BLOB NOT NULL,
    safe_hash BLOB NOT NULL,
    safe_number INTEGER NOT NULL,
    derived_hash BLOB,
    derived_number INTEGER
);
CREATE TABLE expected_output (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);
"""

COUNTED = ("l1_block", "blob", "step", "expected_block", "expected_step", "expected_output")
"""Tables whose row counts the section `contents` states."""

DIGESTED = {
    "step": "SELECT position, unsafe, safe, finalized FROM step ORDER BY position",
    "expected_block": "SELECT number, hash, parent_hash, size, data FROM expected_block ORDER BY number",
    "expected_step": (
        "SELECT position, l1_head, safe_hash, safe_number, derived_hash, derived_number FROM expected_step"
        " ORDER BY position"
    ),
    "expected_output": "SELECT number, size, data FROM expected_output ORDER BY number",
}
"""Tables that no hash of a chain covers; the section `contents` has a SHA-256 of each one's rows, `<table>_sha256`."""


def digest(rows: Iterable[Sequence[object]]) -> str:
    """SHA-256 of rows: a line each, columns joined by commas; bytes in hex, numbers decimal, nothing for a null."""
    state = hashlib.sha256()
    for row in rows:
        columns = ["" if one is None else one.hex() if isinstance(one, bytes) else str(one) for one in row]
        state.update(",".join(columns).encode() + b"\n")
    return "0x" + state.hexdigest()


def pack(data: bytes) -> bytes:
    return zlib.compress(data, 6)


def unpack(packed: bytes, size: int, *, file: Path, part: str, field: str) -> bytes:
    """The `size` bytes behind a row. Raises `RecordingError`."""
    if not 0 <= size <= MAX_ROW:
        raise refuse(file, part, field, expected=f"at most {MAX_ROW} bytes", got=size)
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise refuse(file, part, field, expected="an intact zlib stream", got=error) from error
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise refuse(file, part, field, expected=f"a zlib stream of {size} bytes", got="another length")
    return data


def join(items: Sequence[bytes]) -> bytes:
    """Byte strings as one: the RLP list of them."""
    return encode_list([encode_bytes(item) for item in items])


def split(data: bytes, *, file: Path, part: str, field: str) -> tuple[bytes, ...]:
    """What was joined. Raises `RecordingError`."""
    try:
        items = decode_list(data)
    except DecodeError as error:
        raise refuse(file, part, field, expected="an RLP list of byte strings", got=error) from error
    found = tuple(item for item in items if isinstance(item, bytes))
    if len(found) != len(items):
        raise refuse(file, part, field, expected="byte strings", got="a nested list")
    return found
