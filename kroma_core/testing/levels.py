"""Levels of conformance: how far a part has been shown to do what its role asks."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "kroma_level"


class Level(enum.StrEnum):
    """In rising order; a part has reached a level when it passes everything up to it."""

    DECLARED = "declared"
    """The offer says of itself what a node has to know, and the part has the methods of its protocol."""
    CONTRACT = "contract"
    """The part does what its protocol says, and refuses what contradicts it."""
    FAULTS = "faults"
    """What it stands on fails, lies, or changes under a running call; callers give up in the middle."""
    LOAD = "load"
    """Many callers, much data, whole chains."""


def level(reached: Level) -> Callable[[F], F]:
    """Mark a test of a suite; tests without a mark belong to `CONTRACT`."""

    def marked(test: F) -> F:
        setattr(test, _MARK, reached)
        return test

    return marked


def level_of(test: object) -> Level:
    """The level that a test belongs to."""
    return Level(getattr(test, _MARK, Level.CONTRACT))
