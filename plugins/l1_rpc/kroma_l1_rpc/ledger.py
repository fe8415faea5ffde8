"""How many requests of each method went to the servers: what a provider's bill counts."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kroma_core.events import Event, RequestAnswered


@attrs.frozen(kw_only=True)
class Asked:
    """Calls of one method: all, those that failed or were answered with an error, and the seconds they took."""

    calls: int = 0
    failed: int = 0
    seconds: float = 0.0


@attrs.define
class Ledger:
    """Counts `RequestAnswered` events, by method."""

    _methods: dict[str, Asked] = attrs.field(factory=dict, init=False)

    def note(self, event: Event) -> None:
        """Take a request into account; other events are passed over."""
        if not isinstance(event, RequestAnswered):
            return
        before = self._methods.get(event.method, Asked())
        self._methods[event.method] = Asked(
            calls=before.calls + event.count,
            failed=before.failed + (0 if event.outcome == "ok" else event.count),
            seconds=before.seconds + event.seconds,
        )

    @property
    def methods(self) -> Mapping[str, Asked]:
        return dict(self._methods)

    @property
    def calls(self) -> int:
        """Calls of all methods."""
        return sum(asked.calls for asked in self._methods.values())
