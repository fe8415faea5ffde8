"""Whether the engine that a server is has the checkpoint of a profile, asked before a node starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import trio

from kroma_core.api import Clock, PluginContext, Role
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.errors import ConfigError, KromaError, NotFound
from kroma_core.node.checkpoint import Checkpoint
from kroma_core.node.plan import Plan, PlannedPart
from kroma_core.types import Hash32, L1Number, L1Ref


@attrs.frozen(kw_only=True)
class CheckpointFound:
    """What came of the question: problems, and what to tell where there are none."""

    problems: tuple[str, ...] = ()
    told: str | None = None


async def look_for_checkpoint(plan: Plan, clock: Clock, folder: Path, seconds: float) -> CheckpointFound:
    """Ask the plan's engine for the checkpoint; nobody is asked without one, or where the engine is no server's.

    The engine is opened for that, with a `folder` that is thrown away, and asked for blocks and a proof. Whether the
    block rests on L1 is found out when the node starts.
    """
    if plan.node.checkpoint is None:
        return CheckpointFound()
    found = CheckpointFound()
    for part in _at_servers(plan):
        with trio.move_on_after(seconds) as scope:
            try:
                found = CheckpointFound(told=await _look(part, plan.node.checkpoint, plan, clock, folder))
            except ConfigError as error:
                found = CheckpointFound(problems=tuple(f"{part}: {problem}" for problem in error.problems))
            except KromaError as error:
                found = CheckpointFound(problems=(f"{part}: {error}",))
        if scope.cancelled_caught:
            found = CheckpointFound(problems=(f"{part}: no answer about the checkpoint within {seconds:g} s",))
    return found


def _at_servers(plan: Plan) -> Iterator[PlannedPart]:
    for part in plan.of_role(Role.ENGINE):
        if part.installed.offer.inspect is not None and not part.installed.offer.requires:
            yield part


async def _look(part: PlannedPart, block_hash: Hash32, plan: Plan, clock: Clock, folder: Path) -> str:
    context = PluginContext(chain=plan.chain, data_dir=folder, clock=clock, emit=lambda event: None)
    passer = MESSAGE_PASSER[plan.chain.rollup.family]
    async with part.installed.offer.open(part.settings, context) as engine:
        checkpoint = Checkpoint(
            hash=block_hash,
            config=plan.chain,
            l1=_not_asked,
            l2=engine.block,
            state=lambda at: engine.storage_root(passer, at),
            finalized_l1=None,
        )
        trusted = await checkpoint.trusted()
    return f"engine {part.installed.offer.kind}: it has the checkpoint, L2 block {trusted.block.id}"


async def _not_asked(which: L1Number | Hash32) -> L1Ref:
    raise NotFound("L1 is not asked here")
