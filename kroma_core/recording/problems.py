"""What can be wrong with a recording, told so that an operator finds the place: file, block, field, expected, got."""

from __future__ import annotations

from pathlib import Path

import attrs

from kroma_core.errors import CriticalError
from kroma_core.types import BlockId

SHOWN = 90
"""Characters of a value that a message shows; a 32-byte hash fits whole."""


def shown(value: object) -> str:
    """A value as a message shows it: bytes as 0x-hex, long ones cut with their length."""
    text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
    if len(text) <= SHOWN:
        return text
    size = f"{len(value)} bytes" if isinstance(value, bytes) else f"{len(text)} characters"
    return f"{text[: SHOWN - 20]}… ({size})"


@attrs.frozen(kw_only=True)
class Problem:
    """One contradiction in a recording.

    `part` names the block, blob or section (empty: the whole recording), `field` what of it is wrong.
    """

    file: Path
    part: str
    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        place = f"{self.part}, {self.field}" if self.part else self.field
        return f"{self.file}: {place}: expected {self.expected}, got {self.got}"


class RecordingError(CriticalError):
    """A recording cannot be read or written as it should be. Reading the same file again will not help."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem

    def __reduce__(self) -> tuple[type[RecordingError], tuple[Problem]]:
        return type(self), (self.problem,)


def refuse(file: Path, part: str, field: str, *, expected: object, got: object) -> RecordingError:
    """The error that says so; the caller raises it."""
    return RecordingError(Problem(file=file, part=part, field=field, expected=shown(expected), got=shown(got)))


def l1_block_name(number: int, block_hash: bytes) -> str:
    return f"L1 block {BlockId(block_hash, number)}"


def l2_block_name(number: int) -> str:
    return f"expected L2 block {number}"
