"""Writing the project's own format. A recording appears under its name only when it is whole.

Rows go to `<name>.partial`; `finish` checks that the parts belong together, syncs and renames it. Whatever happens
before leaves no file under the final name, and a partial one is removed or written over. Unless it is written while an
L1 is followed (`lasting`): then what was kept step by step outlives the process, and `rescue` finishes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import commitment_of, proof_of, versioned_hash_of
from kroma_core.codec.trie_root import ordered_root
from kroma_core.errors import DecodeError
from kroma_core.recording.expected_json import block_object, expected_block, expected_output
from kroma_core.recording.json_fields import Fields
from kroma_core.recording.layout import APPLICATION_ID, COUNTED, DIGESTED, SCHEMA_VERSION, TABLES, digest, join, pack
from kroma_core.recording.problems import l1_block_name, l2_block_name, refuse
from kroma_core.recording.values import About, ExpectedBlock, SafeAfter, StoredBlob, TimelineStep
from kroma_core.types import Hash32

_PRAGMAS = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -65536;
"""
_FLEETING = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
"""
"""No journal: a partial file is thrown away, never repaired."""
_LASTING = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
"""


class RecordingWriter:
    """Writes one recording; a context manager. Without `finish` (or after an error) nothing remains.

    `check = False` skips the comparison of blocks with their roots, for blocks that the caller just verified. With
    `lasting`, what was written before the last `keep` stays whatever happens, in a partial file that `rescue` finishes;
    expected blocks may then be written again. Every method raises `RecordingError`, a full disk included. One thread
    at a time may write.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        rollup_config: Mapping[str, Any],
        l1_chain_config: Mapping[str, Any] | None = None,
        l2_genesis: Mapping[str, Any] | None = None,
        about: About | None = None,
        check: bool = True,
        overwrite: bool = False,
        lasting: bool = False,
    ) -> None:
        self.path = Path(path)
        self.partial = partial_of(self.path)
        self.check, self.lasting = check, lasting
        if self.path.exists() and not overwrite:
            raise refuse(self.path, "file", "name", expected="a new file", got="an existing one")
        self._steps = self._expected_steps = 0
        self._kept = (0, 0)
        with self._writing("file"):
            self.partial.unlink(missing_ok=True)
            self._connection = sqlite3.connect(self.partial, isolation_level=None, check_same_thread=False)
        try:
            with self._writing("file"):
                self._connection.executescript(_PRAGMAS + (_LASTING if lasting else _FLEETING) + TABLES)
                self._connection.execute("BEGIN")
            self._add_section("about", attrs.asdict(about or About()))
            self._add_section("rollup_config", rollup_config)
            for name, value in (("l1_chain_config", l1_chain_config), ("l2_genesis", l2_genesis)):
                if value is not None:
                    self._add_section(name, value)
        except BaseException:
            self.lasting = False
            self.discard()
            raise

    @classmethod
    def rescue(cls, path: Path | str) -> Self:
        """The writer of a lasting recording that was not finished, at its last `keep`; `finish` gives it its name."""
        self = cls.__new__(cls)
        self.path = Path(path)
        self.partial = partial_of(self.path)
        self.check, self.lasting = True, True
        if self.path.exists():
            raise refuse(self.path, "file", "name", expected="a new file", got="an existing one")
        if not self.partial.is_file():
            raise refuse(self.partial, "file", "content", expected="an interrupted recording", got="no such file")
        self._steps = self._expected_steps = 0
        self._kept = (0, 0)
        with self._writing("file"):
            self._connection = sqlite3.connect(self.partial, isolation_level=None, check_same_thread=False)
        try:
            with self._writing("file"):
                found = self._connection.execute("PRAGMA application_id").fetchone()[0]
                if found != APPLICATION_ID:
                    raise refuse(self.partial, "file", "application_id", expected=APPLICATION_ID, got=found)
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("BEGIN")
                self._connection.execute("DELETE FROM section WHERE name = 'contents'")  # it ended while finishing
                self._steps, self._expected_steps = (
                    self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    for table in ("step", "expected_step")
                )
            self.keep()
        except BaseException:
            self.discard()
            raise
        return self

    @property
    def steps(self) -> int:
        """Timeline steps written so far."""
        return self._steps

    def keep(self) -> None:
        """Let what was written so far outlive whatever happens; only for a lasting recording, between steps."""
        with self._writing("file"):
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN")
        self._kept = (self._steps, self._expected_steps)

    def go_back(self) -> None:
        """Forget what was written since the last `keep`."""
        with self._writing("file"):
            self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN")
        self._steps, self._expected_steps = self._kept

    def add_block(self, header: bytes, transactions: Sequence[bytes], receipts: Sequence[bytes]) -> Hash32:
        """Record an L1 block of any branch; returns its hash. The order of calls is kept; a block comes once."""
        block_hash = keccak256(header)
        try:
            decoded = Header.decode(header)
        except DecodeError as error:
            raise refuse(self.path, f"L1 block 0x{block_hash.hex()}", "header", expected="RLP", got=error) from error
        part = l1_block_name(decoded.number, block_hash)
        if self.check:
            for field, root, items in (
                ("transactions root", decoded.transactions_root, transactions),
                ("receipts root", decoded.receipts_root, receipts),
            ):
                if (got := ordered_root(items)) != root:
                    raise refuse(self.path, part, field, expected=root, got=got)
        transaction_list, receipt_list = join(transactions), join(receipts)
        self._insert(
            part,
            "INSERT INTO l1_block (hash, number, parent_hash, header, transactions_size, transactions, receipts_size,"
            " receipts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            block_hash,
            decoded.number,
            decoded.parent_hash,
            header,
            len(transaction_list),
            pack(transaction_list),
            len(receipt_list),
            pack(receipt_list),
        )
        return block_hash

    def add_blob(self, data: bytes) -> Hash32:
        """Record a blob of 131 072 bytes with its commitment and proof; returns its versioned hash."""
        try:
            commitment = commitment_of(data)
            versioned_hash = versioned_hash_of(commitment)
            proof = proof_of(data, commitment)
        except DecodeError as error:
            raise refuse(self.path, "blob", "data", expected="field elements", got=error) from error
        self.add_proven_blob(StoredBlob(versioned_hash=versioned_hash, data=data, commitment=commitment, proof=proof))
        return versioned_hash

    def add_proven_blob(self, blob: StoredBlob) -> None:
        """Record a blob whose commitment and proof the caller has checked."""
        self._insert(
            f"blob 0x{blob.versioned_hash.hex()}",
            "INSERT INTO blob (versioned_hash, commitment, proof, data) VALUES (?, ?, ?, ?)",
            blob.versioned_hash,
            blob.commitment,
            blob.proof,
            pack(blob.data),
        )

    def add_step(self, step: TimelineStep) -> None:
        """Record the L1 heads that were seen next."""
        query = "INSERT INTO step (position, unsafe, safe, finalized) VALUES (?, ?, ?, ?)"
        self._insert(f"timeline step {self._steps}", query, self._steps, step.unsafe, step.safe, step.finalized)
        self._steps += 1

    def add_expected_block(self, block: ExpectedBlock | Mapping[str, Any]) -> None:
        """Record a block of the expected chain, as a value or as the JSON object of the formats."""
        item = block_object(block) if isinstance(block, ExpectedBlock) else dict(block)
        known = expected_block(Fields.of(item, file=self.path, part="expected block"))
        size, data = _packed(item)
        self._insert(
            l2_block_name(known.number),
            f"INSERT {'OR REPLACE ' if self.lasting else ''}INTO expected_block (number, hash, parent_hash, size, data)"
            " VALUES (?, ?, ?, ?, ?)",
            known.number,
            known.hash,
            known.payload.parent_hash,
            size,
            data,
        )

    def add_safe_after(self, safe: SafeAfter) -> None:
        """Record the safe head after the next timeline step; call once per step, in order."""
        self._insert(
            f"expected step {self._expected_steps}",
            "INSERT INTO expected_step (position, l1_head, safe_hash, safe_number, derived_hash, derived_number)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            self._expected_steps,
            safe.l1_head,
            safe.safe_l2.hash,
            safe.safe_l2.number,
            None if safe.derived_l1 is None else safe.derived_l1.hash,
            None if safe.derived_l1 is None else safe.derived_l1.number,
        )
        self._expected_steps += 1

    def add_output(self, output: Mapping[str, Any]) -> None:
        """Record an answer of `optimism_outputAtBlock`, as its JSON object."""
        known = expected_output(Fields.of(dict(output), file=self.path, part="expected output"))
        size, data = _packed(output)
        query = "INSERT INTO expected_output (number, size, data) VALUES (?, ?, ?)"
        self._insert(f"expected output {known.number}", query, known.number, size, data)

    def finish(self) -> None:
        """Check that blocks link and heads are there, then give the file its name."""
        if self.lasting:
            self._end_with_last_step()
        self._check_tree()
        with self._writing("file"):
            counts = {
                table: self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED
            }
            digests = {f"{table}_sha256": digest(self._connection.execute(rows)) for table, rows in DIGESTED.items()}
        self._add_section("contents", counts | digests)
        with self._writing("file"):
            self._connection.execute("COMMIT")
            if self.lasting:
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()
            with self.partial.open("rb") as file:
                os.fsync(file.fileno())
            self.partial.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Drop what was written so far; of a lasting recording, what was not kept."""
        with contextlib.suppress(sqlite3.Error):  # a full disk: what was kept is on it
            self._connection.close()
        if not self.lasting:
            with contextlib.suppress(OSError):
                self.partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _end_with_last_step(self) -> None:
        """Blocks above the last safe head were derived and not confirmed, or belong to a branch that was given up."""
        with self._writing("expected blocks"):
            self._connection.execute(
                "DELETE FROM expected_block WHERE number >"
                " (SELECT safe_number FROM expected_step ORDER BY position DESC LIMIT 1)"
            )

    def _check_tree(self) -> None:
        with self._writing("file"):
            orphan = self._connection.execute(
                "SELECT number, parent_hash FROM l1_block AS block WHERE number > (SELECT min(number) FROM l1_block)"
                " AND NOT EXISTS (SELECT 1 FROM l1_block AS parent WHERE parent.hash = block.parent_hash) LIMIT 1"
            ).fetchone()
            headless = self._connection.execute(
                "SELECT position, head FROM (SELECT position, unsafe AS head FROM step UNION ALL SELECT position, safe"
                " FROM step UNION ALL SELECT position, finalized FROM step) WHERE head IS NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM l1_block WHERE l1_block.hash = head) LIMIT 1"
            ).fetchone()
        if orphan is not None:
            part = l1_block_name(orphan[0] - 1, orphan[1])
            raise refuse(self.path, part, "block", expected="in the recording", got="missing")
        if headless is not None:
            part = f"timeline step {headless[0]}"
            raise refuse(self.path, part, "heads", expected="recorded L1 blocks", got=headless[1])
        if self._expected_steps not in (0, self._steps):
            raise refuse(self.path, "expected steps", "count", expected=self._steps, got=self._expected_steps)

    def _add_section(self, name: str, value: Mapping[str, Any]) -> None:
        text = _text(value)
        query = "INSERT INTO section (name, size, sha256, data) VALUES (?, ?, ?, ?)"
        self._insert(f"section {name}", query, name, len(text), hashlib.sha256(text).digest(), pack(text))

    def _insert(self, part: str, query: str, *values: object) -> None:
        with self._writing(part):
            self._connection.execute(query, values)

    @contextlib.contextmanager
    def _writing(self, part: str) -> Iterator[None]:
        """What the disk or the database refuses, told as a problem of the file being written."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise refuse(self.path, part, "row", expected="each once, complete", got=error) from error
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise refuse(self.path, part, "write", expected="room and permission to write", got=error) from error


def partial_of(path: Path) -> Path:
    """Where a recording is written before it is whole."""
    return path.with_name(path.name + ".partial")


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _packed(value: Mapping[str, Any]) -> tuple[int, bytes]:
    text = _text(value)
    return len(text), pack(text)
