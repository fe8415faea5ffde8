"""What the derivation machine asks of its driver and hands to it.

`Derivation.next_event()` returns one of these or an event to observe (`kroma_core.events`). After `NeedL1`, `NeedData`,
`NeedL2Block` the machine waits for the matching `feed_*`; after `Derived` for `confirm` or `reject`. Asking again
before that returns the same step.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from kroma_core.events import BatchPlace, ChannelRead, FramesRead, InboxRead, L1Traversed, Verdict
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.l2 import PayloadAttributes
from kroma_core.types import L1Number, L1Ref, L2Number, L2Ref


class BatchKind(enum.StrEnum):
    """Where attributes came from."""

    SINGULAR = "singular"
    SPAN = "span"
    EMPTY = "empty"
    """Forced: the sequencing window of the epoch has passed."""
    DEPOSITS_ONLY = "deposits-only"
    """The engine refused the block with the batcher's transactions."""


@attrs.frozen(kw_only=True)
class NeedL1:
    """The canonical L1 block at `number`, with its receipts. Answer `feed_l1`; or ask again when the head has moved.

    `parent` is the block it must link to; None only for the first block of a derivation.
    """

    number: L1Number
    parent: L1Ref | None


@attrs.frozen(kw_only=True)
class NeedData:
    """The batcher data of these transactions of one L1 block. Answer `feed_data`: a tuple of inputs per transaction."""

    block: L1Ref
    transactions: tuple[InboxTransaction, ...]
    rules: Rules


@attrs.frozen(kw_only=True)
class NeedL2Block:
    """A block of the safe chain, to compare a span batch that overlaps it. Answer `feed_l2`."""

    number: L2Number


@attrs.frozen(kw_only=True)
class Derived:
    """Attributes of the next block. `concludes` is False inside a span batch that becomes safe as a whole later.

    `place` is where the batch was read; None where none was.
    """

    attributes: PayloadAttributes
    parent: L2Ref
    derived_from: L1Ref
    kind: BatchKind
    concludes: bool
    place: BatchPlace | None = None


@attrs.frozen(kw_only=True)
class MustReset:
    """What was fed contradicts what was derived (an L1 reorg): a new machine has to be made from a block that holds."""

    reason: str


Step: TypeAlias = NeedL1 | NeedData | NeedL2Block | Derived | MustReset
Observation: TypeAlias = Verdict | InboxRead | FramesRead | ChannelRead | L1Traversed
DerivationEvent: TypeAlias = Step | Observation
