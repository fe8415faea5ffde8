"""Which server to ask first: the order of the profile, those that lagged or lied last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from kroma_core.errors import TemporaryError
from kroma_core.events import Event, SourceDistrusted
from kroma_core.jsonrpc.errors import NoAnswer
from kroma_l1_rpc.verification import Contradiction

AFTER_SILENCE: Final = 5.0
"""Seconds for which a server that did not answer is asked last; twice as many each time in a row."""
AFTER_LAG: Final = 12.0
AFTER_LIE: Final = 60.0
LONGEST: Final = 600.0


@attrs.define
class _Memory:
    until: float = 0.0
    faults: int = 0


@attrs.define(kw_only=True)
class Trust:
    """Remembers for each server until when it is asked last. `now` tells the time in seconds, of any clock."""

    part: str
    names: Sequence[str]
    now: Callable[[], float]
    emit: Callable[[Event], None]
    _memory: list[_Memory] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._memory = [_Memory() for _ in self.names]

    def order(self) -> list[int]:
        """The servers in the order in which to ask them; nobody is left out."""
        now = self.now()
        waiting = {index: memory.until for index, memory in enumerate(self._memory) if memory.until > now}
        return sorted(range(len(self._memory)), key=lambda index: (waiting.get(index, 0.0), index))

    def trusts(self, index: int) -> bool:
        """Whether a server is not asked last at present."""
        return self._memory[index].until <= self.now()

    def failed(self, index: int, error: TemporaryError) -> None:
        """A server did not answer, or not what its hashes say."""
        if isinstance(error, Contradiction):
            self._distrust(index, AFTER_LIE, str(error))
        elif isinstance(error, NoAnswer) and error.retry_after is not None:
            self._distrust(index, AFTER_SILENCE, error.reason, least=error.retry_after)
        else:
            self._distrust(index, AFTER_SILENCE, error.reason if isinstance(error, NoAnswer) else str(error))

    def lagged(self, index: int, reason: str) -> None:
        """A server does not know what it should."""
        self._distrust(index, AFTER_LAG, reason)

    def kept_up(self, index: int) -> None:
        """A server answered well: what it did before counts no more, once its time is over."""
        memory = self._memory[index]
        if memory.until <= self.now():
            memory.faults = 0

    def _distrust(self, index: int, first: float, reason: str, least: float = 0.0) -> None:
        memory = self._memory[index]
        now = self.now()
        if memory.until > now and memory.faults:
            return  # already asked last; asked all the same because nobody else answered
        seconds = max(min(first * 2**memory.faults, LONGEST), least)
        memory.faults = min(memory.faults + 1, 16)
        memory.until = now + seconds
        self.emit(SourceDistrusted(part=self.part, server=self.names[index], reason=reason, seconds=seconds))
