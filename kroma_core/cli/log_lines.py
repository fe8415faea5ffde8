"""Lines of stderr in the form that the profile names: words, logfmt, or a JSON object each."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import attrs

from kroma_core.api import Clock
from kroma_core.cli.event_text import logfmt
from kroma_core.node.profile import LogFormat, LogLevel


@attrs.frozen(kw_only=True)
class LogLines:
    """Where lines go, and in which form. In every form but `text` a line has time, level and event first."""

    format: LogFormat
    out: TextIO | None = attrs.field(factory=lambda: sys.stderr)
    clock: Clock = time.time

    def write(self, level: LogLevel, event: str, fields: Mapping[str, Any], words: str) -> None:
        """One line: `words` as text, the rest in the other forms. A stderr that is closed is told nothing."""
        if self.out is None:
            return
        self.out.write(self._line(level, event, fields, words) + "\n")
        self.out.flush()

    def event(self, level: LogLevel, event: str, fields: Mapping[str, Any], words: str) -> None:
        """The same of what happens while the node runs: as text with time and level."""
        clock = time.strftime("%H:%M:%S", time.localtime(self.clock()))
        self.write(level, event, fields, f"{clock} {level.upper():<7} {words}")

    def _line(self, level: LogLevel, event: str, fields: Mapping[str, Any], words: str) -> str:
        if self.format is LogFormat.TEXT:
            return words
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))
        found = {"time": moment, "level": level.value, "event": event, **fields}
        return json.dumps(found) if self.format is LogFormat.JSON else logfmt(found)
