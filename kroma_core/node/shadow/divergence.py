"""What a divergence is: two parts, one question, two answers. Values only."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from kroma_core.api.roles import Role
from kroma_core.recording.compare import Difference
from kroma_core.types import Hash32


@attrs.frozen(kw_only=True)
class PartVersion:
    """A part as it can be found again: what a profile calls it, and the distribution that it came from."""

    kind: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.distribution} {self.version})"


class Place(enum.StrEnum):
    """What a cursor points at."""

    L2_BLOCK = "L2 block"
    L1_BLOCK = "L1 block"
    L1_RECEIPTS = "receipts of L1 block"
    L1_CANONICAL = "canonical L1 block"
    L1_TRANSACTION = "L1 transaction"


@attrs.frozen(kw_only=True)
class Cursor:
    """Where two parts were asked the same. Answers are compared at the same cursor only.

    `number` is the block's (of a transaction: the number of its block); `hash` is the block's or the transaction's, the
    leading part's where the two differ in it, and the parent's where the leading part made no block.
    """

    place: Place
    number: int
    hash: Hash32

    def __str__(self) -> str:
        if self.place is Place.L1_TRANSACTION:
            return f"{self.place} 0x{self.hash.hex()} of L1 block {self.number}"
        return f"{self.place} {self.number} (0x{self.hash.hex()})"


@attrs.frozen(kw_only=True)
class Divergence:
    """Two parts that were asked the same at `cursor`, and what differs in their answers.

    In a difference, `expected` is the leading part's value and `got` the follower's. `inputs`, `leader_output` and
    `follower_output` are JSON objects, bytes as 0x-prefixed hex; their form is the role's own (docs/shadow.md).
    """

    role: Role
    leader: PartVersion
    follower: PartVersion
    cursor: Cursor
    differences: tuple[Difference, ...]
    inputs: Mapping[str, Any] = attrs.field(repr=False)
    leader_output: Mapping[str, Any] = attrs.field(repr=False)
    follower_output: Mapping[str, Any] = attrs.field(repr=False)


def fingerprint(output: Mapping[str, Any]) -> str:
    """A name for an answer: equal answers have equal ones, whoever gave them."""
    return hashlib.sha256(json.dumps(output, sort_keys=True).encode()).hexdigest()


@attrs.frozen(kw_only=True)
class Agreed:
    """The follower gave the same."""

    cursor: Cursor


@attrs.frozen(kw_only=True)
class Behind:
    """The follower has not come so far, which is no divergence. It is asked the same again after `delay` seconds.

    A follower that works to get there says so from time to time, with a delay of 0: one that says nothing for long is
    taken to hang.
    """

    cursor: Cursor
    reason: str
    delay: float = 1.0


@attrs.frozen(kw_only=True)
class Differs:
    """The follower gave something else. `parted`: from here on its answers mean nothing, so it is asked no more."""

    divergence: Divergence
    parted: bool = False


@attrs.frozen(kw_only=True)
class Unanswered:
    """The follower has nothing that could be compared, and will not have it: pruned, or on another branch.

    That is no divergence, and the follower has no voice in a vote at this place. An empty `reason`: the comparison
    tells by itself, when it is time to.
    """

    cursor: Cursor
    reason: str


Outcome: TypeAlias = Agreed | Behind | Differs | Unanswered
"""What became of one step."""
