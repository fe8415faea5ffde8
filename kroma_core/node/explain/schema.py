"""The tables of the verdict store.

Every row belongs to a run of derivation, which begins with a start or a reset and reads L1 anew from an earlier block.
A row that a later run (or an L1 reorg) made void stays, marked with the reason, until there is no more room for it:
what derivation held for true at the time can still be asked. `l1` is the number of the L1 block that was being read.
`id` counts over all tables, in the order in which things happened.
"""

from __future__ import annotations

SCHEMA = 1
"""Raised when the tables change; a file of another form is begun anew."""

HOLDS, READ_AGAIN, REORGANISED = 0, 1, 2
"""Values of `void`: the row holds; a reset made derivation read the L1 block again; L1 gave the block up."""

TABLES = (
    "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL, time REAL NOT NULL) STRICT",
    """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, reason TEXT NOT NULL, safe INTEGER NOT NULL, l1_start INTEGER NOT NULL
) STRICT""",
    """
CREATE TABLE l1_blocks (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, hash BLOB NOT NULL, l1_time INTEGER NOT NULL,
    time REAL NOT NULL, void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX l1_blocks_by_l1 ON l1_blocks (l1)",
    """
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, hash BLOB NOT NULL, place INTEGER NOT NULL,
    type INTEGER NOT NULL, blobs INTEGER NOT NULL, inputs INTEGER NOT NULL, void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX transactions_by_l1 ON transactions (l1)",
    "CREATE INDEX transactions_by_hash ON transactions (hash)",
    """
CREATE TABLE frames (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, transaction_hash BLOB NOT NULL,
    input INTEGER NOT NULL, channel BLOB NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
    is_last INTEGER NOT NULL, dropped TEXT, void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX frames_by_l1 ON frames (l1)",
    "CREATE INDEX frames_by_channel ON frames (channel)",
    "CREATE INDEX frames_by_transaction ON frames (transaction_hash)",
    """
CREATE TABLE channels (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, channel BLOB NOT NULL, opened INTEGER NOT NULL,
    frames INTEGER NOT NULL, compressed INTEGER NOT NULL, decompressed INTEGER NOT NULL, compression TEXT NOT NULL,
    batches INTEGER NOT NULL, void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX channels_by_l1 ON channels (l1)",
    "CREATE INDEX channels_by_channel ON channels (channel)",
    """
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL,
    outcome TEXT NOT NULL, reason TEXT NOT NULL, code TEXT NOT NULL, rule TEXT NOT NULL, numbers TEXT NOT NULL,
    channel BLOB, batch INTEGER, void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX verdicts_by_l1 ON verdicts (l1)",
    "CREATE INDEX verdicts_by_name ON verdicts (name)",
    "CREATE INDEX verdicts_by_channel ON verdicts (channel)",
    """
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, l1 INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
    origin INTEGER NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL,
    channel BLOB, batch INTEGER, transactions INTEGER NOT NULL, consolidated INTEGER NOT NULL,
    void INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX blocks_by_number ON blocks (number)",
)

OF_L1 = ("l1_blocks", "transactions", "frames", "channels", "verdicts")
"""Tables of what is read again after a reset, all with an index by L1 block; `blocks`, the largest, has none."""

INSERT = {
    "runs": "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
    "l1_blocks": "INSERT INTO l1_blocks VALUES (?, ?, ?, ?, ?, ?, 0)",
    "transactions": "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
    "frames": "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0)",
    "channels": "INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
    "verdicts": "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
    "blocks": "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
}

TOGETHER = 64
"""So many rows of a table are inserted by one statement. For each statement SQLite lets go of the interpreter, and
derivation, which runs beside, is disturbed."""


def _of_many(statement: str) -> str:
    into, _, row = statement.partition(" VALUES ")
    return f"{into} VALUES {', '.join([row] * TOGETHER)}"


INSERT_MANY = {statement: _of_many(statement) for statement in INSERT.values()}
"""By the statement for one row: the one for `TOGETHER` rows, whose values follow each other."""
