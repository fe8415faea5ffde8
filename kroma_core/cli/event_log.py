"""What a running node writes to stderr: one line an event, from the level on that the profile names."""

from __future__ import annotations

import sys
import time
from collections.abc import Hashable
from typing import TextIO

import attrs

from kroma_core.api import Clock
from kroma_core.cli.event_text import event_fields, event_name, sentence
from kroma_core.cli.log_lines import LogLines
from kroma_core.events import (
    Diverged,
    Event,
    FollowerAgreed,
    FollowerAttached,
    FollowerBehind,
    FollowerDetached,
    HeadsMoved,
    L1HeadsChanged,
    L1Reorganised,
    Noted,
    Outcome,
    Outvoted,
    PartDetached,
    PipelineReset,
    Retrying,
    Searching,
    SourceDistrusted,
    StateMigrating,
    StoreSetAside,
    Verdict,
    Warned,
)
from kroma_core.node.profile import LogFormat, LogLevel

_LEVELS = tuple(LogLevel)


@attrs.frozen(kw_only=True)
class _Pace:
    """How often events of one kind get a line: after the first, none for `first` seconds.

    Each further line doubles the pause, up to `longest`, while the events keep coming.
    """

    first: float
    longest: float
    counted: bool = True
    """Whether a line tells how many events had none before it; otherwise the newest of them gets one later."""


_PACES: dict[type[Event], _Pace] = {
    HeadsMoved: _Pace(first=1.0, longest=1.0, counted=False),
    Searching: _Pace(first=5.0, longest=60.0, counted=False),
    StateMigrating: _Pace(first=5.0, longest=5.0, counted=False),
    L1HeadsChanged: _Pace(first=1.0, longest=1.0, counted=False),
    Retrying: _Pace(first=10.0, longest=600.0),
    SourceDistrusted: _Pace(first=10.0, longest=600.0),
    PipelineReset: _Pace(first=1.0, longest=60.0),
    Verdict: _Pace(first=0.5, longest=30.0),
    FollowerAgreed: _Pace(first=10.0, longest=60.0, counted=False),
    FollowerBehind: _Pace(first=10.0, longest=600.0),
    FollowerDetached: _Pace(first=10.0, longest=600.0),
}
"""Events that come in thousands, or again and again for hours (at debug level each gets its line)."""


def level_of(event: Event) -> LogLevel:
    match event:
        case PartDetached() | Diverged():
            return LogLevel.ERROR
        case Retrying() | SourceDistrusted() | L1Reorganised() | StoreSetAside() | Warned():
            return LogLevel.WARNING
        case FollowerDetached() | Outvoted():
            return LogLevel.WARNING
        case FollowerAttached() | FollowerBehind() | FollowerAgreed():
            return LogLevel.INFO
        case HeadsMoved() | PipelineReset() | Searching() | StateMigrating() | Noted():
            return LogLevel.INFO
        case Verdict(outcome=Outcome.DROPPED):
            return LogLevel.INFO
        case _:
            return LogLevel.DEBUG


@attrs.define
class _Repeats:
    """What became of the events of one kind so far."""

    pause: float
    last: float = float("-inf")
    left_out: int = 0


@attrs.define(kw_only=True)
class EventLog:
    """An observer that writes lines. `level` may be changed while it is in use."""

    level: LogLevel
    format: LogFormat
    out: TextIO = attrs.field(factory=lambda: sys.stderr)
    clock: Clock = time.time
    _repeats: dict[Hashable, _Repeats] = attrs.field(factory=dict, init=False)
    _waiting: dict[Hashable, tuple[float, Event]] = attrs.field(factory=dict, init=False)

    def set_level(self, level: LogLevel) -> None:
        """Write events from another level on."""
        self.level = level

    def close(self) -> None:
        """Write where the node stands at its end, if the last line does not say it."""
        self._write_waiting(float("inf"))

    def on_event(self, event: Event) -> None:
        now = self.clock()
        self._write_waiting(now)
        level = level_of(event)
        if _LEVELS.index(level) < _LEVELS.index(self.level):
            return
        left_out = 0
        pace = _PACES.get(type(event))
        if pace is not None and self.level is not LogLevel.DEBUG:
            repeats = self._repeats.setdefault(_kind(event), _Repeats(pace.first))
            since = now - repeats.last
            if 0 <= since < repeats.pause:
                if pace.counted:
                    repeats.left_out += 1
                else:
                    self._waiting[_kind(event)] = (repeats.last + repeats.pause, event)
                return
            still_coming = since < 2 * repeats.pause
            repeats.pause = min(repeats.pause * 2, pace.longest) if still_coming else pace.first
            left_out, repeats.left_out, repeats.last = repeats.left_out, 0, now
            self._waiting.pop(_kind(event), None)
        self._write(now, level, event, left_out)

    def _write_waiting(self, now: float) -> None:
        """The newest of the events that only the last one counts of, once its line is due."""
        for kind, (due, event) in tuple(self._waiting.items()):
            if now >= due:
                del self._waiting[kind]
                self._repeats[_kind(event)].last = self.clock()
                self._write(self.clock(), level_of(event), event, 0)

    def _write(self, now: float, level: LogLevel, event: Event, left_out: int) -> None:
        lines = LogLines(format=self.format, out=self.out, clock=lambda: now)
        more = f" (and {left_out} like it before)" if left_out else ""
        counted = {"left_out": left_out} if left_out else {}
        lines.event(level, event_name(event), {**event_fields(event), **counted}, sentence(event) + more)


def _kind(event: Event) -> Hashable:
    """Events of the same kind share a pace."""
    match event:
        case Retrying(part=part) | SourceDistrusted(part=part):
            return type(event), part
        case FollowerAgreed(part=part) | FollowerBehind(part=part) | FollowerDetached(part=part):
            return type(event), part
        case Verdict(subject=subject, reason=reason):
            return type(event), subject, reason
        case _:
            return (type(event),)
