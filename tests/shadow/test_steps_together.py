"""Steps that cross to a follower's process together: none is lost, and each keeps its own outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

from kroma_core.api import L1Source
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.l1 import L1Block
from kroma_core.node.shadow.divergence import Agreed, Outcome, Unanswered
from kroma_core.node.shadow.l1_branch import compares_l1
from kroma_core.node.shadow.l1_exchange import BlockExchange
from kroma_core.node.shadow.source_comparison import SourceFollowing
from kroma_core.node.shadow.source_follower import TOGETHER, RemoteComparison
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.shadow.following import FOLLOWER, LEADER, Altered
from tests.shadow.test_l1_shadow import scripted


def steps_of(l1: ScriptedL1, count: int) -> list[BlockExchange]:
    async def main() -> list[BlockExchange]:
        names = [l1.canonical_hash(number) for number in range(1, count + 1)]
        return [BlockExchange(name, await l1.block(name)) for name in names]

    return trio.run(main)


def compared(source: L1Source, steps: Sequence[BlockExchange]) -> list[Outcome]:
    comparison = compares_l1(SourceFollowing(leader=LEADER, follower=FOLLOWER, live=False), source, lambda text: None)
    return trio.run(comparison.compare_all, steps, clock=trio.testing.MockClock(autojump_threshold=0))


def failing(l1: ScriptedL1, number: int, error: Exception) -> Any:
    class Failing(Altered):
        async def block(self, block_hash: bytes) -> L1Block:
            if block_hash == l1.canonical_hash(number):
                raise error
            return await l1.block(block_hash)

    return Failing(l1)


def test_steps_that_agree_are_all_compared() -> None:
    assert compared(scripted(4), steps_of(scripted(4), 4)) == [
        Agreed(cursor=one.cursor) for one in steps_of(scripted(4), 4)
    ]


def test_a_step_without_an_answer_is_the_last_of_its_group() -> None:
    l1 = scripted(4)
    first, second = compared(failing(l1, 2, NotFound("pruned")), steps_of(l1, 4))
    assert isinstance(first, Agreed)
    assert isinstance(second, Unanswered)


def test_an_error_is_raised_once_its_step_comes_first() -> None:
    l1 = scripted(4)
    source, steps = failing(l1, 2, TemporaryError("no answer")), steps_of(l1, 4)
    assert len(compared(source, steps)) == 1
    with pytest.raises(TemporaryError):
        compared(source, steps[1:])


def test_each_step_is_sent_once_in_groups_and_gets_its_own_outcome() -> None:
    steps = steps_of(scripted(20), 20)
    sent: list[int] = []

    class Process:
        async def call(self, method: str, together: Sequence[BlockExchange]) -> list[Outcome]:
            await trio.lowlevel.checkpoint()
            assert method == "compare_all"
            sent.append(len(together))
            return [Agreed(cursor=one.cursor) for one in together[:3]]

    async def main() -> None:
        waiting = list(steps)
        comparison = RemoteComparison(Process(), lambda: waiting)  # type: ignore[arg-type]  # what a process has to do here
        while waiting:
            outcome = await comparison.compare(waiting[0])
            assert outcome == Agreed(cursor=waiting[0].cursor)
            del waiting[0]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert sent == [TOGETHER, TOGETHER, TOGETHER, TOGETHER, TOGETHER, 5, 2]
