"""The two blocks at which a chain changes from one kind of state trie to another, and what is different there.

The last block before the change holds its upgrade transactions; the first one after it has a state root of the migrated
state, which an engine may have later than the blocks themselves. Kroma's reference clients migrate safe blocks only, so
they let neither block travel with others.
Spec: kroma, op-node/rollup/driver/sequencer.go, op-node/node/node.go, op-batcher/batcher/channel_builder.go.
"""

from __future__ import annotations

import enum

from kroma_core.forks import Schedule
from kroma_core.types import Timestamp


class StateChange(enum.Enum):
    """Where an L2 block stands to a change of the state's trie."""

    NONE = "neither"
    LAST = "last block before the change"
    FIRST = "first block after the change"


def state_change_at(schedule: Schedule, time: Timestamp) -> StateChange:
    """Where the L2 block at `time` stands. Genesis is no change, whatever its state."""
    own = schedule.at(time).state
    if schedule.before(time).state is not own:
        return StateChange.FIRST
    if schedule.at(time + schedule.block_time).state is not own:
        return StateChange.LAST
    return StateChange.NONE


def sequenced_without_pool(schedule: Schedule, time: Timestamp) -> bool:
    """Whether a sequencer takes no transactions of its own into the block: beside the upgrade transactions."""
    return state_change_at(schedule, time) is StateChange.LAST


def taken_from_gossip(schedule: Schedule, time: Timestamp) -> bool:
    """Whether a block that a peer sent is looked at. The first one after the change comes from L1 alone."""
    return state_change_at(schedule, time) is not StateChange.FIRST


def ends_channel(schedule: Schedule, time: Timestamp) -> bool:
    """Whether a batcher closes its channel after this block, so that the two blocks are in channels of their own.

    Derivation here needs it not; kroma-node waits for ever on a span batch that holds both.
    """
    return state_change_at(schedule, time) is not StateChange.NONE
