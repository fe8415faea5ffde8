"""A replay with the opened parts of a plan; what `replay`, `derive` and `decode` have in common."""

from __future__ import annotations

from collections.abc import Callable

from kroma_core.derive.steps import Derived
from kroma_core.node.assemble import Parts
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.final_branch import FinalBranch, abandoned_steps
from kroma_core.node.plan import Plan
from kroma_core.node.replay import Progress, Replay
from kroma_core.recording import Expected, Recording


def replay_of(
    recording: Recording,
    plan: Plan,
    parts: Parts,
    *,
    expected: Expected | None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_derived: Callable[[Derived, Confirmed], None] = lambda derived, confirmed: None,
) -> Replay:
    """The replay of a recording, without its abandoned branches where the engine only knows the final chain."""
    skipped = {} if plan.executes else abandoned_steps(recording)
    return Replay(
        config=plan.chain,
        l1=FinalBranch(source=parts.l1, skipped=skipped) if skipped else parts.l1,
        data=parts.data,
        engine=parts.engine,
        executes=plan.executes,
        steps_in_all=recording.step_count,
        skipped_steps=skipped,
        expected=expected,
        emit=parts.emit,
        on_progress=on_progress,
        on_derived=on_derived,
    )
