"""`[shadow]` of a profile."""

from __future__ import annotations

import enum

import attrs


class ShadowPolicy(enum.StrEnum):
    """What it means for the node that a part in the shadow of another gives something else."""

    REPORT = "report"
    """It goes on with what the leading part says."""
    HALT = "halt"
    """It ends."""
    MAJORITY = "majority"
    """It goes on while more than half of the parts, the leading one among them, say what the leading one says."""


@attrs.frozen(kw_only=True)
class ShadowTable:
    """`[shadow]`: what follows from a divergence between a part and those in its shadow (`[[engine.shadow]]`)."""

    policy: ShadowPolicy = ShadowPolicy.REPORT
    """`report`: tell and go on; `halt`: end; `majority`: end unless most parts say what the leading one says."""
    queue: int = attrs.field(default=256)
    """Steps of the leading part that may wait for a follower; more than that are given up, and it catches up."""
    seconds: int = attrs.field(default=60)
    """How long a follower may take for one step before it is detached and opened again."""

    @queue.validator
    @seconds.validator
    def _positive(self, field: attrs.Attribute[int], value: int) -> None:
        if value < 1:
            raise ValueError(f"{field.name}: expected a number from 1 on, got {value}")
