"""Which L2 block is final once an L1 block is."""

from __future__ import annotations

from kroma_core.node.finality import DELAY, LOOKBACK, Derived, Finality
from kroma_core.types import L1Number
from tests.node.live_values import l1, l2


def final_at(finality: Finality, number: int) -> int | None:
    found = finality.final_at(L1Number(number))
    return None if found is None else found.safe.number


def test_the_numbers_are_those_of_op_node() -> None:
    assert (LOOKBACK, DELAY) == (129, 64)


def test_the_last_block_up_to_the_final_one_counts() -> None:
    finality = Finality()
    for number in (10, 12, 14):
        finality.note(l1(number), l2(number * 2))
    assert [final_at(finality, number) for number in (9, 10, 11, 12, 13, 14, 99)] == [None, 20, 20, 24, 24, 28, 28]


def test_blocks_that_gave_nothing_take_no_place() -> None:
    finality = Finality()
    finality.note(l1(1), l2(7))
    for number in range(2, 1000):
        finality.note(l1(number), l2(7))
    assert finality.final_at(L1Number(1)) == Derived(l1=l1(1), safe=l2(7))


def test_what_a_block_gave_last_replaces_what_it_gave_before() -> None:
    finality = Finality()
    finality.note(l1(1), l2(1))
    finality.note(l1(1), l2(2))
    assert final_at(finality, 1) == 2


def test_an_l1_block_takes_one_place_however_much_it_gave() -> None:
    finality = Finality()
    for number in range(1, LOOKBACK + 1):
        finality.note(l1(number), l2(2 * number - 1))
        finality.note(l1(number), l2(2 * number))
    assert final_at(finality, 1) == 2


def test_the_129th_block_back_is_the_last_that_is_remembered() -> None:
    finality = Finality()
    for number in range(1, LOOKBACK + 2):
        finality.note(l1(number), l2(number))
    assert final_at(finality, 1) is None
    assert final_at(finality, 2) == 2


def test_it_is_looked_at_anew_after_64_blocks() -> None:
    finality = Finality()
    assert [number for number in range(100, 300) if finality.due(number)] == [100, 165, 230, 295]
