"""What L1, blob and data sources in the shadow of others cost a node: the same chain with and without, in the same run.

    python -m bench.shadow_sources [--file VECTOR] [--passes N] [--json]

A pass derives and executes a recording as `kroma run` does, until everything is safe; with shadows, each source has
another of its kind behind it, which answers all the same again and checks all the same hashes. Until the followers are
open the node waits, so that everything is compared. The figure is the CPU time of the node's own process: what the
shadows take from the leading parts where there is a processor for each. What followers have left to do at the end does
not count. The other row is the same without execution: nothing but L1 and data is left, which no node consists of.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import attrs
import trio

from bench.rows import Row, show
from kroma_core.cli.replaying import replay_of
from kroma_core.events import Event, FollowerAgreed, FollowerAttached, FollowerBehind
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.registry import discover
from kroma_core.recording import open_recording

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/blobs-jovian.json.xz"
PASSES = 7
MOST = 0.05
"""Of the node's speed."""
SOURCES = ("l1", "blobs", "data")


@attrs.define
class Told:
    """An observer: which followers are there, and how many steps were compared."""

    wanted: int
    attached: set[str] = attrs.field(factory=set)
    all_attached: trio.Event = attrs.field(factory=trio.Event)
    compared: int = 0
    passed_over: int = 0

    def on_event(self, event: Event) -> None:
        match event:
            case FollowerAttached(part=part):
                self.attached.add(part)
                if len(self.attached) == self.wanted:
                    self.all_attached.set()
            case FollowerAgreed():
                self.compared += 1
            case FollowerBehind(dropped=dropped):
                self.passed_over += dropped
            case _:
                pass


@attrs.frozen(kw_only=True)
class Pass:
    """One run over the chain; CPU seconds of this process."""

    blocks: int
    cpu: float
    compared: int


async def run(path: Path, *, shadows: bool, execute: bool) -> Pass:
    """Derive a recording to its end, and execute it."""
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, open_recording(path) as recording:
        plan = plan_replay(path, None, discover(), os.environ, Path(folder), without_execution=not execute)
        if shadows:
            plan = shadowed(plan)
        told = Told(sum(len(part.shadows) for part in plan.parts))
        async with assemble(plan, observers={"told": told}, shadows=shadows) as parts:
            if shadows:
                await told.all_attached.wait()
            replay = replay_of(recording, plan, parts, expected=None)
            gc.collect()
            cpu = time.process_time()
            result = await replay.run()
            cpu = time.process_time() - cpu
    if shadows and (told.compared == 0 or told.passed_over):
        raise SystemExit(f"{told.compared} steps compared, {told.passed_over} passed over: nothing is measured")
    return Pass(blocks=result.blocks, cpu=cpu, compared=told.compared)


def shadowed(plan: Plan) -> Plan:
    """The plan with another of the same kind behind each source."""
    parts = tuple(
        attrs.evolve(part, shadows=(attrs.evolve(part, data_dir=plan.data_dir / "shadow" / part.data_dir.name),))
        if part.role in SOURCES
        else part
        for part in plan.parts
    )
    return attrs.evolve(plan, parts=parts, shadow=attrs.evolve(plan.shadow, queue=100_000))


def measure(vector: Path, passes: int) -> list[Row]:
    """The median of what the shadows add to the pass before them."""
    rows = []
    name = vector.name.partition(".")[0]
    for execute in (True, False):
        alone: list[Pass] = []
        led: list[Pass] = []
        trio.run(partial(run, vector, shadows=True, execute=execute))  # caches fill
        for _ in range(passes):
            alone.append(trio.run(partial(run, vector, shadows=False, execute=execute)))
            led.append(trio.run(partial(run, vector, shadows=True, execute=execute)))
        share = statistics.median(one.cpu / before.cpu for one, before in zip(led, alone, strict=True)) - 1
        cost = statistics.median(one.cpu for one in alone) / alone[0].blocks
        what = (
            f"sources in the shadow of others ({name}, {led[0].compared} steps), of the CPU time of the node's process"
        )
        rows.append(
            Row(
                what=what if execute else "  the same without execution",
                ours=f"{share:.1%}",
                other=f"{cost * 1e3:.1f} ms a block alone",
                met=share <= MOST if execute else None,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.shadow_sources", description="What sources' shadows cost.")
    parser.add_argument("--file", type=Path, default=VECTOR, help="a chain vector")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.file, arguments.passes), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
