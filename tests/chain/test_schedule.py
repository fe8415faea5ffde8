from __future__ import annotations

import pickle

import pytest

from kroma_core.errors import ConfigError
from kroma_core.forks import KROMA_FORKS, OP_FORKS, EvmRules, Fork, Schedule
from kroma_core.types import Seconds, Timestamp


def schedule(times: dict[Fork, int], table: object = OP_FORKS) -> Schedule:
    found = {fork: Timestamp(time) for fork, time in times.items()}
    return Schedule(table=OP_FORKS if table is OP_FORKS else KROMA_FORKS, times=found, block_time=Seconds(2))


def test_rules_change_at_the_time_of_a_fork() -> None:
    found = schedule({Fork.REGOLITH: 0, Fork.CANYON: 100})
    assert not found.at(99).withdrawals
    assert found.at(100).withdrawals


def test_later_forks_win_whatever_their_times() -> None:
    found = schedule({Fork.CANYON: 100, Fork.ECOTONE: 50})
    assert found.at(100).evm is EvmRules.CANCUN


def test_a_fork_of_the_other_family_is_refused() -> None:
    with pytest.raises(ConfigError, match="fork kroma_mpt is not one of this chain family's"):
        schedule({Fork.KROMA_MPT: 5})


def test_engine_methods_follow_the_forks() -> None:
    found = schedule({Fork.CANYON: 10, Fork.ECOTONE: 20, Fork.ISTHMUS: 30, Fork.KARST: 40})
    versions = [
        (rules.forkchoice_version, rules.payload_version, rules.get_payload_version)
        for rules in map(found.at, (0, 10, 20, 30, 40))
    ]
    assert versions == [(1, 2, 2), (2, 2, 2), (3, 3, 3), (3, 4, 4), (3, 4, 5)]


def test_kroma_keeps_cancuns_blob_fee() -> None:
    assert schedule({Fork.REGOLITH: 0}, KROMA_FORKS).at(10**10).cancun_blob_fee_override
    assert not schedule({Fork.REGOLITH: 0}).at(10**10).cancun_blob_fee_override


def test_the_blob_schedule_fix_ends_at_its_time() -> None:
    found = schedule({Fork.PECTRA_BLOB_SCHEDULE: 100})
    assert [found.at(time).cancun_blob_fee_override for time in (99, 100)] == [True, False]


def test_only_the_block_at_the_very_time_has_kromas_mark() -> None:
    found = schedule({Fork.KROMA_MPT: 101}, KROMA_FORKS)
    marks = [found.first_block_extra_data(Timestamp(time)) for time in (100, 101, 102)]
    assert marks == [b"", b"BEDROCK", b""]


def test_a_schedule_can_be_sent_to_another_process() -> None:
    found = schedule({Fork.CANYON: 10, Fork.KARST: 40})
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert [again.at(time) for time in (0, 10, 40)] == [found.at(time) for time in (0, 10, 40)]
