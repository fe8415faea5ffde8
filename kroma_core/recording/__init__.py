"""Recordings: an L1, recorded once, that is read again anywhere, with what was derived from it.

`open_recording` reads both formats; `VerifiedReader` checks every block and blob against the hash it is asked for by;
`RecordingWriter` writes the project's own format. docs/recordings.md describes both formats for other clients.
"""

from __future__ import annotations

from kroma_core.recording.compare import Difference, differences, first_difference
from kroma_core.recording.formats import open_recording
from kroma_core.recording.importer import import_vector
from kroma_core.recording.problems import Problem, RecordingError
from kroma_core.recording.reader import Expected, Recording
from kroma_core.recording.values import (
    About,
    ExpectedBlock,
    ExpectedOutput,
    SafeAfter,
    StoredBlob,
    StoredLink,
    TimelineStep,
)
from kroma_core.recording.verification import verify
from kroma_core.recording.verified import VerifiedReader
from kroma_core.recording.writer import RecordingWriter, partial_of

__all__ = [
    "About", "Difference", "Expected", "ExpectedBlock", "ExpectedOutput", "Problem", "Recording", "RecordingError",
    "RecordingWriter", "SafeAfter", "StoredBlob", "StoredLink", "TimelineStep", "VerifiedReader", "differences",
    "first_difference", "import_vector", "open_recording", "partial_of", "verify",
]  # fmt: skip
