"""What a running node writes to stderr: one line an event, from the level on that the profile names."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

import attrs

from kroma_core.api import Clock
from kroma_core.cli.event_text import event_fields, event_name, logfmt, sentence
from kroma_core.events import (
    Event,
    HeadsMoved,
    L1Reorganised,
    Outcome,
    PartDetached,
    PipelineReset,
    Retrying,
    Searching,
    SourceDistrusted,
    Verdict,
)
from kroma_core.node.profile import LogFormat, LogLevel

_LEVELS = tuple(LogLevel)

_QUIET_SECONDS: dict[type[Event], float] = {HeadsMoved: 1.0, Retrying: 10.0}
"""Events that come in thousands: at most one line of them in so many seconds (at debug level: every one)."""


def level_of(event: Event) -> LogLevel:
    match event:
        case PartDetached():
            return LogLevel.ERROR
        case Retrying() | SourceDistrusted() | L1Reorganised():
            return LogLevel.WARNING
        case HeadsMoved() | PipelineReset() | Searching():
            return LogLevel.INFO
        case Verdict(outcome=Outcome.DROPPED):
            return LogLevel.INFO
        case _:
            return LogLevel.DEBUG


@attrs.define(kw_only=True)
class EventLog:
    """An observer that writes lines."""

    level: LogLevel
    format: LogFormat
    out: TextIO = attrs.field(factory=lambda: sys.stderr)
    clock: Clock = time.time
    _last: dict[type[Event], float] = attrs.field(factory=dict, init=False)

    def on_event(self, event: Event) -> None:
        level = level_of(event)
        if _LEVELS.index(level) < _LEVELS.index(self.level):
            return
        now = self.clock()
        quiet = _QUIET_SECONDS.get(type(event), 0.0) if self.level is not LogLevel.DEBUG else 0.0
        if now - self._last.get(type(event), float("-inf")) < quiet:
            return
        self._last[type(event)] = now
        self.out.write(_FORMS[self.format](now, level, event) + "\n")
        self.out.flush()


def _text(now: float, level: LogLevel, event: Event) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(now))} {level.upper():<7} {sentence(event)}"


def _logfmt(now: float, level: LogLevel, event: Event) -> str:
    return logfmt({"time": _iso(now), "level": level.value, "event": event_name(event), **event_fields(event)})


def _json(now: float, level: LogLevel, event: Event) -> str:
    return json.dumps({"time": _iso(now), "level": level.value, "event": event_name(event), **event_fields(event)})


def _iso(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


_FORMS: dict[LogFormat, Callable[[float, LogLevel, Event], str]] = {
    LogFormat.TEXT: _text,
    LogFormat.LOGFMT: _logfmt,
    LogFormat.JSON: _json,
}
