"""Role `observe`: is told what happens in a node."""

from __future__ import annotations

from typing import Protocol

from kroma_core.events import Event


class Observer(Protocol):
    """Receives every event, in order. Must not block; one that raises is detached, with an event to the others."""

    def on_event(self, event: Event) -> None:
        """Take note of one event."""
        ...
