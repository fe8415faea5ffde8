"""Types of settings that mean more than their text. An offer's config class may use them beside plain types.

Plain types that a profile can fill: str, int, float, bool, bytes (0x hex), Path, enumerations, tuples, mappings, frozen
attrs classes, and `X | None` of each; `str | Secret` for text that may hold a secret. A string literal
under a field documents the setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import NewType

import attrs

InputFile = NewType("InputFile", Path)
"""A file that has to exist before the node starts. Relative paths count from the profile's folder, as with `Path`."""

RecordingFile = NewType("RecordingFile", InputFile)
"""A recording that the part plays. `kroma replay` fills in the file that it replays."""

Port = NewType("Port", int)
"""A TCP or UDP port that the node listens on; two parts that ask for the same one are refused."""


@attrs.frozen(repr=False)
class Secret:
    """Text that is never printed. A profile names where it is: `{ env = "NAME" }` or `{ file = "path" }`."""

    _value: str

    def reveal(self) -> str:
        """The text itself; do not put it into messages."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"
