"""The answer of a decoder to bytes that are not what their format says.

A value, not an exception: the batcher may write anything, and what is malformed is dropped by rule and reported.
"""

from __future__ import annotations

import enum

import attrs


@attrs.frozen
class Malformed:
    """Input without meaning. `reason` is a member of an enumeration beside the decoder; `offset` is the byte at which
    the decoder gave up, counted from the start of what it was given."""

    reason: enum.StrEnum
    offset: int = 0
