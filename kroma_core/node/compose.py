"""Telling many observers one event, without any of them being able to stop the node."""

from __future__ import annotations

import attrs

from kroma_core.api.observer import Observer
from kroma_core.events import Event, PartDetached


@attrs.define
class Broadcast:
    """Hands every event to every observer, in order. One that raises is detached, and the others are told."""

    _observers: dict[str, Observer] = attrs.field(factory=dict)

    def attach(self, name: str, observer: Observer) -> None:
        self._observers[name] = observer

    def detach(self, name: str) -> None:
        """Stop telling an observer; an unknown name (already detached) is ignored."""
        self._observers.pop(name, None)

    def __call__(self, event: Event) -> None:
        for name, observer in tuple(self._observers.items()):
            try:
                observer.on_event(event)
            except Exception as error:  # border: observer call
                self.detach(name)
                self(PartDetached(part=name, error=f"{type(error).__name__}: {error}"))
