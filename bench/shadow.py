"""What an engine in the shadow of another costs the leading one: the same chain with and without, in the same run.

    python -m bench.shadow [--file VECTOR] [--passes N] [--json]

A pass derives and executes a recording with the embedded engine, as `kroma run` does, until everything is safe; with a
shadow, a second embedded engine executes all of it too, in its process. Until the follower is open, the node waits, so
that every block is compared. Two figures: the CPU time of the node's own process, which is what the shadow takes from
the leading engine where there is a processor for each; and the time by the clock. What the follower has left to do
at the end does not count. Passes with and without take turns.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
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

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/plain-jovian.json.xz"
PASSES = 7
MOST = 0.05
"""Of the leading engine's speed."""


@attrs.define
class Told:
    """An observer: whether the follower is there, and what was compared."""

    attached: trio.Event = attrs.field(factory=trio.Event)
    compared: int = 0
    passed_over: int = 0

    def on_event(self, event: Event) -> None:
        match event:
            case FollowerAttached():
                self.attached.set()
            case FollowerAgreed(compared=compared):
                self.compared = compared
            case FollowerBehind(dropped=dropped):
                self.passed_over += dropped
            case _:
                pass


@attrs.frozen(kw_only=True)
class Pass:
    """One run over the chain, in seconds."""

    blocks: int
    cpu: float
    clock: float
    compared: int


async def run(path: Path, *, shadow: bool) -> Pass:
    """Derive and execute a recording to its end."""
    told = Told()
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, open_recording(path) as recording:
        plan = plan_replay(path, None, discover(), os.environ, Path(folder))
        if shadow:
            plan = shadowed(plan)
        async with assemble(plan, observers={"told": told}, shadows=shadow) as parts:
            if shadow:
                await told.attached.wait()
            replay = replay_of(recording, plan, parts, expected=None)
            gc.collect()
            cpu, clock = time.process_time(), time.perf_counter()
            result = await replay.run()
            cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    if shadow and (told.compared == 0 or told.passed_over):
        raise SystemExit(f"{told.compared} blocks compared, {told.passed_over} passed over: nothing is measured")
    return Pass(blocks=result.blocks, cpu=cpu, clock=clock, compared=told.compared)


def shadowed(plan: Plan) -> Plan:
    """The plan with a second engine of the same kind behind the first."""
    parts = []
    for part in plan.parts:
        if part.role == "engine":
            follower = attrs.evolve(part, data_dir=plan.data_dir / "shadow")
            part = attrs.evolve(part, shadows=(follower,))
        parts.append(part)
    limits = attrs.evolve(plan.shadow, queue=100_000)
    return attrs.evolve(plan, parts=tuple(parts), shadow=limits)


def measure(vector: Path, passes: int) -> list[Row]:
    """The median of what the shadow adds to the pass before it."""
    alone: list[Pass] = []
    led: list[Pass] = []
    trio.run(lambda: run(vector, shadow=True))  # caches fill
    for _ in range(passes):
        alone.append(trio.run(lambda: run(vector, shadow=False)))
        led.append(trio.run(lambda: run(vector, shadow=True)))
    pairs = list(zip(led, alone, strict=True))
    cpu = statistics.median(one.cpu / before.cpu for one, before in pairs) - 1
    clock = statistics.median(one.clock / before.clock for one, before in pairs) - 1
    name = vector.name.partition(".")[0]
    speed = alone[0].blocks / statistics.median(one.clock for one in alone)
    return [
        Row(
            what=f"an engine in the shadow of another ({name}), of the CPU time of the leading one's process",
            ours=f"{cpu:.1%}",
            other=f"{speed:.0f} blocks/s alone",
            met=cpu <= MOST,
        ),
        Row(what="  the same, by the clock", ours=f"{clock:.1%}"),
        Row(
            what="  the same, of the quickest passes",
            ours=f"{min(one.cpu for one in led) / min(one.cpu for one in alone) - 1:.1%}, by the clock "
            f"{min(one.clock for one in led) / min(one.clock for one in alone) - 1:.1%}",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.shadow", description="What an engine's shadow costs it.")
    parser.add_argument("--file", type=Path, default=VECTOR, help="a chain vector")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.file, arguments.passes), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
