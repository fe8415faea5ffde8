"""Telling the formats of recordings apart, by their first bytes."""

from __future__ import annotations

from pathlib import Path

from kroma_core.recording.chain_vector import FORMAT as VECTOR_FORMAT
from kroma_core.recording.chain_vector import XZ_MAGIC, VectorRecording
from kroma_core.recording.problems import refuse
from kroma_core.recording.reader import Recording
from kroma_core.recording.stored import FORMAT as STORED_FORMAT
from kroma_core.recording.stored import SQLITE_MAGIC, StoredRecording


def open_recording(path: Path | str) -> Recording:
    """A recording of either format, ready to be read; leave its context to close it. Raises `RecordingError`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise refuse(path, "file", "content", expected="a readable file", got=error.strerror or error) from error
    if start == SQLITE_MAGIC:
        return StoredRecording(path)
    if start.startswith(XZ_MAGIC) or start[:1] == b"{":
        return VectorRecording(path)
    expected = f"a recording ({STORED_FORMAT}, or {VECTOR_FORMAT} as JSON or xz)"
    raise refuse(path, "file", "content", expected=expected, got=f"{start!r}" if start else "an empty file")
