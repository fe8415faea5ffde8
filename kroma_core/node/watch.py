"""What a node's events tell of its health: who does not answer, what is tried again, when it last made progress."""

from __future__ import annotations

import attrs

from kroma_core.api import Clock
from kroma_core.events import (
    Asked,
    BlockDerived,
    Diverged,
    Event,
    HeadsMoved,
    L1HeadsChanged,
    L1Traversed,
    Outvoted,
    PartDetached,
    PipelineReset,
    RequestAnswered,
    Retrying,
    Searching,
    StateMigrating,
)

SPEAKING = frozenset({"ok", "error", "status 404"})
"""Outcomes of a request that show a server at work: an error object is an answer, and so is "I do not have it"."""
GRACE = 10.0
"""Seconds after the end of a pause in which the next attempt is expected to fail, or to have succeeded."""


@attrs.frozen(kw_only=True)
class Silence:
    """A part none of whose servers has answered since a time."""

    part: str
    servers: tuple[str, ...]
    since: float
    outcome: str
    """What became of the last request."""


@attrs.frozen(kw_only=True)
class Trouble:
    """Something that is tried again and again."""

    part: str
    what: str
    error: str
    since: float
    until: float
    """When it will have failed again, or is over."""
    asked: Asked = Asked.OTHER


@attrs.frozen(kw_only=True)
class Signs:
    """A snapshot; times are seconds since the Unix epoch."""

    started: float
    progress: float
    """When derivation, or a search on its behalf, last came further."""
    silent: tuple[Silence, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    search: str | None = None
    """What is searched for, by the driver or by an engine that syncs by itself; nothing is derived meanwhile."""
    detached: tuple[str, ...] = ()
    diverged: tuple[str, ...] = ()
    """For each part that has parted from the leading one, without having been outvoted: where it last did."""


@attrs.define
class Watch:
    """An observer that keeps what health is judged by. It holds one entry a server and one a thing that is retried."""

    clock: Clock
    _started: float = attrs.field(init=False)
    _progress: float = attrs.field(init=False)
    _servers: dict[tuple[str, str], tuple[float, str] | None] = attrs.field(factory=dict, init=False)
    """By part and server: since when it is silent and the last outcome; None for one that answers."""
    _troubles: dict[str, Trouble] = attrs.field(factory=dict, init=False)
    """The newest trouble of each part."""
    _search: str | None = attrs.field(default=None, init=False)
    _detached: list[str] = attrs.field(factory=list, init=False)
    _diverged: dict[str, Diverged] = attrs.field(factory=dict, init=False)
    """The newest divergence of each part that follows another."""

    def __attrs_post_init__(self) -> None:
        self._started = self._progress = self.clock()

    def on_event(self, event: Event) -> None:
        match event:
            case Searching():
                self._progress = self.clock()
                self._search = f"{event.part}: {event.what}: at block {event.at}, at the latest until {event.towards}"
            case L1Traversed() | BlockDerived() | HeadsMoved() | PipelineReset() | StateMigrating():
                self._progress = self.clock()
                self._search = None
            case L1HeadsChanged():
                self._troubles = {
                    part: trouble for part, trouble in self._troubles.items() if trouble.asked is not Asked.L1_HEADS
                }
            case RequestAnswered(part=part, server=server, outcome=outcome):
                before = self._servers.get((part, server))
                silent = (before[0] if before else self.clock(), outcome)
                self._servers[part, server] = None if outcome in SPEAKING else silent
            case Retrying():
                self._note(event)
            case PartDetached(part=part, error=error):
                self._detached.append(f"{part}: {error}")
            case Diverged(part=part):
                self._diverged[part] = event
            case Outvoted(part=part, at=at):
                if part in self._diverged and self._diverged[part].at == at:
                    del self._diverged[part]
            case _:
                pass

    def signs(self) -> Signs:
        """What is known now."""
        now = self.clock()
        return Signs(
            started=self._started,
            progress=self._progress,
            silent=tuple(self._silences()),
            troubles=tuple(trouble for trouble in self._troubles.values() if now <= trouble.until),
            search=self._search,
            detached=tuple(self._detached),
            diverged=tuple(
                f"{one.part} and {one.leader} differ at {one.at}: kroma divergence show {one.bundle}"
                for one in self._diverged.values()
            ),
        )

    def _note(self, event: Retrying) -> None:
        now = self.clock()
        before = self._troubles.get(event.part)
        goes_on = before is not None and before.what == event.what and event.attempt > 1
        self._troubles[event.part] = Trouble(
            part=event.part,
            what=event.what,
            asked=event.asked,
            error=event.error,
            since=before.since if goes_on and before is not None else now,
            until=now + event.delay + GRACE,
        )

    def _silences(self) -> list[Silence]:
        found = []
        for part in dict.fromkeys(part for part, _ in self._servers):
            states = {server: state for (other, server), state in self._servers.items() if other == part}
            silent = [state for state in states.values() if state is not None]
            if len(silent) == len(states):
                since, outcome = max(silent)
                found.append(Silence(part=part, servers=tuple(states), since=since, outcome=outcome))
        return found
