"""An answer that fits a screen: a sentence, and what it rests on."""

from __future__ import annotations

from typing import Any

import attrs

MOST_LINES = 20
"""Facts that are shown; a program gets all of them."""


@attrs.frozen(kw_only=True)
class Answer:
    """`found` False: nothing is known of what was asked. `data` is the whole answer for programs."""

    summary: str
    facts: tuple[tuple[str, str], ...] = ()
    data: dict[str, Any] = attrs.field(factory=dict)
    found: bool = True

    def text(self) -> str:
        width = max((len(name) for name, _ in self.facts), default=0)
        lines = [self.summary, *(f"  {name:<{width}}  {text}" for name, text in self.facts[:MOST_LINES])]
        left_out = len(self.facts) - MOST_LINES
        return "\n".join([*lines, f"  ... and {left_out} more (--json)"] if left_out > 0 else lines)

    def as_json(self) -> dict[str, Any]:
        return {"found": self.found, "summary": self.summary, **self.data}
