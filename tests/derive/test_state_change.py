"""The blocks around Kroma's change of state, as kroma-node, its sequencer and its batcher treat them."""

from __future__ import annotations

import pytest

from kroma_core.derive.state_change import (
    StateChange,
    ends_channel,
    sequenced_without_pool,
    state_change_at,
    taken_from_gossip,
)
from kroma_core.forks import KROMA_FORKS, OP_FORKS, Fork, Schedule
from kroma_core.types import Seconds, Timestamp

LAST, FIRST, NONE = StateChange.LAST, StateChange.FIRST, StateChange.NONE


def places(change: int, *times: int) -> list[StateChange]:
    schedule = Schedule(table=KROMA_FORKS, times={Fork.KROMA_MPT: Timestamp(change)}, block_time=Seconds(2))
    return [state_change_at(schedule, Timestamp(time)) for time in times]


@pytest.mark.parametrize("change", [100, 99])
def test_the_last_and_the_first_block_are_known_by_their_times(change: int) -> None:
    assert places(change, 96, 98, 100, 102) == [NONE, LAST, FIRST, NONE]


def test_a_chain_that_begins_after_the_change_has_no_such_block() -> None:
    assert places(0, 0, 2, 4) == [NONE, NONE, NONE]


def test_other_chains_have_no_such_block() -> None:
    times = {fork: Timestamp(10) for fork in (Fork.REGOLITH, Fork.CANYON, Fork.DELTA, Fork.ECOTONE)}
    schedule = Schedule(table=OP_FORKS, times=times, block_time=Seconds(2))
    assert {state_change_at(schedule, Timestamp(time)) for time in range(20)} == {NONE}


def test_each_role_does_what_its_reference_client_does() -> None:
    schedule = Schedule(table=KROMA_FORKS, times={Fork.KROMA_MPT: Timestamp(100)}, block_time=Seconds(2))
    at = [Timestamp(time) for time in (96, 98, 100, 102)]
    assert [sequenced_without_pool(schedule, time) for time in at] == [False, True, False, False]
    assert [taken_from_gossip(schedule, time) for time in at] == [True, True, False, True]
    assert [ends_channel(schedule, time) for time in at] == [False, True, True, False]


def test_only_blocks_of_the_zk_trie_era_are_filled_within_the_provers_limits() -> None:
    schedule = Schedule(table=KROMA_FORKS, times={Fork.KROMA_MPT: Timestamp(100)}, block_time=Seconds(2))
    limits = [(schedule.at(time).filled_transactions, schedule.at(time).filled_bytes) for time in (98, 100)]
    assert limits == [(100, 2_000_000), (None, None)]
    op = Schedule(table=OP_FORKS, times={}, block_time=Seconds(2)).at(0)
    assert (op.filled_transactions, op.filled_bytes) == (None, None)
