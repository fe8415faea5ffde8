"""The queue of unsafe blocks: lowest first, each once, bounded in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kroma_core.node.unsafe_queue import MAX_BYTES, Outcome, UnsafeQueue, Waiting, size_of
from tests.node.live_values import l2, payload

SMALL = size_of(payload(1))
"""What a block without transactions takes."""


def waiting(number: int, *, branch: int = 0, size: int = 0) -> Waiting:
    return Waiting(payload=payload(number, branch=branch, size=size), ref=l2(number, branch=branch), source="test")


def drained(queue: UnsafeQueue) -> list[int]:
    return [queue.pop().ref.number for _ in range(len(queue))]


def test_the_bound_and_the_size_of_a_block_are_those_of_op_node() -> None:
    assert MAX_BYTES == 500 * 1024 * 1024
    assert size_of(payload(1)) == 1000
    assert size_of(payload(1, size=77)) == 1000 + 24 + 77


@given(st.lists(st.integers(1, 50), max_size=60))
def test_blocks_come_out_lowest_first_each_once(numbers: list[int]) -> None:
    queue = UnsafeQueue()
    for number in numbers:
        outcome, crowded = queue.push(waiting(number))
        assert crowded == []
        assert outcome in (Outcome.QUEUED, Outcome.DUPLICATE)
    assert queue.size == SMALL * len(set(numbers))
    assert drained(queue) == sorted(set(numbers))
    assert queue.size == 0


def test_two_blocks_of_one_number_are_both_kept_the_first_before_the_second() -> None:
    queue = UnsafeQueue()
    one, other = waiting(3, branch=0), waiting(3, branch=1)
    queue.push(one)
    queue.push(other)
    assert [queue.pop(), queue.pop()] == [one, other]


def test_where_the_bound_is_reached_the_lowest_blocks_go() -> None:
    queue = UnsafeQueue(max_bytes=3 * SMALL)
    for number in (5, 4, 6):
        queue.push(waiting(number))
    outcome, crowded = queue.push(waiting(7))
    assert (outcome, [block.ref.number for block in crowded]) == (Outcome.QUEUED, [4])
    assert drained(queue) == [5, 6, 7]


def test_a_block_below_a_full_queue_goes_itself() -> None:
    queue = UnsafeQueue(max_bytes=2 * SMALL)
    queue.push(waiting(5))
    queue.push(waiting(6))
    assert queue.push(waiting(1)) == (Outcome.CROWDED_OUT, [])
    assert queue.push(waiting(1)) == (Outcome.CROWDED_OUT, [])
    assert drained(queue) == [5, 6]


def test_a_block_that_is_larger_than_the_bound_drives_nobody_out() -> None:
    queue = UnsafeQueue(max_bytes=2 * SMALL)
    queue.push(waiting(5))
    assert queue.push(waiting(6, size=2 * SMALL)) == (Outcome.TOO_LARGE, [])
    assert drained(queue) == [5]


def test_a_large_block_may_drive_several_out() -> None:
    queue = UnsafeQueue(max_bytes=4 * SMALL)
    for number in (1, 2, 3, 4):
        queue.push(waiting(number))
    _, crowded = queue.push(waiting(9, size=SMALL))
    assert [block.ref.number for block in crowded] == [1, 2, 3]
    assert queue.size == size_of(payload(9, size=SMALL)) + SMALL


def test_a_block_that_went_may_come_again() -> None:
    queue = UnsafeQueue()
    queue.push(waiting(1))
    queue.pop()
    assert queue.push(waiting(1))[0] is Outcome.QUEUED


def test_blocks_that_cannot_follow_the_head_are_taken_out_with_the_reason() -> None:
    queue = UnsafeQueue()
    for block in (
        waiting(2),
        waiting(3),
        waiting(4),
        waiting(5, branch=1),
        waiting(6),
        waiting(7, branch=1),
        waiting(9),
    ):
        queue.push(block)
    found = []
    while (useless := queue.pop_useless(unsafe=l2(6), safe=l2(3))) is not None:
        found.append((useless[1].ref.number, useless[0]))
    assert found == [
        (2, Outcome.SAFE),
        (3, Outcome.SAFE),
        (4, Outcome.PAST),
        (5, Outcome.PAST),
        (6, Outcome.DUPLICATE),
        (7, Outcome.OTHER_CHAIN),
    ]
    assert drained(queue) == [9]


def test_a_block_is_removed_from_any_place() -> None:
    queue = UnsafeQueue()
    blocks = [waiting(number) for number in (1, 2, 3, 4)]
    for block in blocks:
        queue.push(block)
    queue.remove(blocks[2])
    queue.remove(blocks[2])
    queue.remove(blocks[0])
    assert queue.size == 2 * SMALL
    assert drained(queue) == [2, 4]
