"""What keeping every verdict for `kroma explain` costs derivation: CPU time with and without, in the same run.

    python -m bench.explain [--file VECTOR] [--passes N] [--json]

A pass is the derivation of a recording as a node does it: its driver, its data sources, and an engine that answers with
the recorded blocks and executes nothing. With an engine that executes, the share is smaller by far. The recorder is the
one of `kroma run`, with its file; all its CPU time counts, though most of it is spent in a thread beside derivation.
Passes with and without it take turns.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import trio

from bench.rows import Row, show
from kroma_core.api import Observer
from kroma_core.cli.replaying import replay_of
from kroma_core.node.assemble import assemble
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.explain.store import STORE
from kroma_core.node.plan import plan_replay
from kroma_core.node.profile import ExplainTable
from kroma_core.node.registry import discover
from kroma_core.recording import import_vector, open_recording

VECTOR = Path(__file__).parents[1] / "tests/vectors/data/op-chains/bench-jovian.json.xz"
PASSES = 15
MOST = 0.03
"""Of derivation's CPU time."""


@attrs.frozen(kw_only=True)
class Pass:
    """One derivation of everything; the bytes are those of the verdict store."""

    blocks: int
    seconds: float
    bytes_kept: int


async def derive(path: Path, *, kept: bool) -> Pass:
    """Derive a recording to its end."""
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder, open_recording(path) as recording:
        plan = plan_replay(path, None, discover(), os.environ, Path(folder), without_execution=True)
        recorder = VerdictRecorder(ExplainTable(), time.time) if kept else None
        observers: Mapping[str, Observer] = {"explain": recorder} if recorder is not None else {}
        size = 0
        async with assemble(plan, observers=observers) as parts, AsyncExitStack() as stack:
            if recorder is not None:
                await stack.enter_async_context(recorder.kept_in(Path(folder) / STORE, parts.emit))
            replay = replay_of(recording, plan, parts, expected=None)
            gc.collect()
            start = time.process_time()
            result = await replay.run()
            if recorder is not None:
                await recorder.flush()
            seconds = time.process_time() - start
            if recorder is not None and recorder.store is not None:
                size = recorder.store.bytes_used
    return Pass(blocks=result.blocks, seconds=seconds, bytes_kept=size)


def measure(vector: Path, passes: int) -> list[Row]:
    """The median of what keeping adds to the pass before it."""
    bare: list[Pass] = []
    kept: list[Pass] = []
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder:
        path = import_vector(vector, Path(folder) / "bench.recording")
        trio.run(lambda: derive(path, kept=True))  # caches fill, the KZG set-up is read
        for _ in range(passes):
            bare.append(trio.run(lambda: derive(path, kept=False)))
            kept.append(trio.run(lambda: derive(path, kept=True)))
    least, most = min(one.seconds for one in bare), min(one.seconds for one in kept)
    share = statistics.median(one.seconds / before.seconds for one, before in zip(kept, bare, strict=True)) - 1
    blocks = bare[0].blocks
    return [
        Row(
            what=f"keeping verdicts ({vector.name.partition('.')[0]}), of the CPU time of a node's derivation",
            ours=f"{share:.1%}",
            other=f"{blocks / statistics.median(one.seconds for one in bare):.0f} L2 blocks/s",
            met=share <= MOST,
        ),
        Row(what="  the same, of the quickest passes", ours=f"{most / least - 1:.1%}"),
        Row(what="  a block", ours=f"{(most - least) / blocks * 1e6:.1f} us, {kept[0].bytes_kept / blocks:.0f} B"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.explain", description="What `kroma explain` costs.")
    parser.add_argument("--file", type=Path, default=VECTOR, help="a chain vector")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    show(measure(arguments.file, arguments.passes), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
