"""Which heads of a recorded timeline were abandoned later."""

from __future__ import annotations

from pathlib import Path

from kroma_core.forks import Fork
from kroma_core.node.final_branch import abandoned_steps
from kroma_core.recording import open_recording
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on


def abandoned_in(l1: ScriptedL1, folder: Path) -> set[int]:
    rollup = rollup_on(l1, forks=all_forks_until(Fork.CANYON)).rollup
    with open_recording(record(l1, folder / "l1.recording", rollup)) as recording:
        return set(abandoned_steps(recording))


def test_no_head_is_abandoned_without_a_reorg(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(4)
    assert abandoned_in(l1, tmp_path) == set()


def test_heads_on_the_branch_that_a_reorg_left_are_abandoned(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(3)  # steps 1 to 3
    l1.reorg(2)  # step 4: block 1 again
    l1.mine_empty(3)
    assert abandoned_in(l1, tmp_path) == {2, 3}


def test_heads_above_the_last_one_are_abandoned(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(4)
    l1.reorg(3)
    assert abandoned_in(l1, tmp_path) == {2, 3, 4}


def test_a_flip_back_keeps_the_first_branch(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    first = l1.mine_empty(3)
    l1.reorg(1)
    l1.mine_empty(2)  # steps 5 and 6
    l1.move_to(first.hash)
    assert abandoned_in(l1, tmp_path) == {5, 6}
