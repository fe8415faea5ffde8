"""A recorded chain synced on a real op-geth over the Engine API: our node, and op-node on the same L1, in turns.

    python -m bench.sync_op_geth [RECORDING] [--passes N]

The L1 is the recording, served by `kroma serve` over HTTP to both; each gets a fresh op-geth. Time runs from the start
of the program to the safe head that was recorded. Ours checks every root of what it reads; op-node is told to trust the
L1, because it asks for a proof of L1 state otherwise, and a recording has none. Needs `make peers`, and Linux for the
figures of memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.rows import Row, show
from tests.peers.l2 import OpGeth, op_geth, op_node
from tests.peers.node import ServedL1, beacon, engine_rpc, kroma, kroma_serve, l1_rpc, verifier
from tests.peers.programs import PROGRAMS, Running
from tests.peers.rollup import CHAINS, Rollup, read_vector, recorded_rollup
from tests.peers.rpc import Rpc, RpcFailed

NEEDED = ("geth", "op-node")
RECORDING = CHAINS / "bench-jovian.json.xz"
CALLDATA = CHAINS / "plain-jovian.json.xz"
MOST_MEMORY = 300.0
"""Megabytes that a verifier with an external engine should stay below."""
FIRST_BLOCK = 3.0
"""Seconds from the start of the node to its first derived block, at most."""
_MEGABYTE = 10**6
_LONGEST = 900.0


@attrs.frozen(kw_only=True)
class Sync:
    """One pass. `node_cpu` and `engine_cpu` are seconds of CPU time."""

    blocks: int
    seconds: float
    first_block: float
    node_cpu: float
    engine_cpu: float
    memory: float
    """Megabytes, at most."""


async def _watch(node: Rpc, running: Running, engine: OpGeth, start: float, head: str, number: int) -> Sync:
    """Wait until the safe head is the recorded one; raises `SystemExit` when it is another block."""
    first: float | None = None
    with trio.fail_after(_LONGEST):
        while True:
            running.check()
            try:
                status: dict[str, Any] = await node.call("optimism_syncStatus")
            except RpcFailed:
                status = {}
            now = trio.current_time()
            if first is None and status and status["unsafe_l2"]["number"] > 0:
                first = now
            if status and status["safe_l2"]["number"] >= number:
                break
            await trio.sleep(0.05)
    if status["safe_l2"]["hash"] != head:
        raise SystemExit(f"{running.name}: safe block {number} is {status['safe_l2']['hash']}, the recorded one {head}")
    return Sync(
        blocks=number,
        seconds=now - start,
        first_block=(first or now) - start,
        node_cpu=running.cpu_seconds(),
        engine_cpu=engine.running.cpu_seconds(),
        memory=running.most_resident_bytes() / _MEGABYTE,
    )


async def sync_ours(folder: Path, rollup: Rollup, l1: ServedL1, head: str, number: int) -> Sync:
    """One sync of our node on a fresh op-geth."""
    async with op_geth(folder / "op-geth", rollup) as engine:
        profile = verifier(folder, rollup, l1=l1_rpc(l1.rpc.url), engine=engine_rpc(engine), blobs=[beacon(l1.beacon)])
        start = trio.current_time()
        async with kroma(folder, profile) as node:
            return await _watch(node.rpc, node.running, engine, start, head, number)


async def sync_op_node(folder: Path, rollup: Rollup, l1: ServedL1, head: str, number: int) -> Sync:
    """One sync of op-node on a fresh op-geth."""
    async with op_geth(folder / "op-geth", rollup) as engine:
        start = trio.current_time()
        async with op_node(
            folder, rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True
        ) as node:
            return await _watch(node.rpc, node.running, engine, start, head, number)


async def measure(recording: Path, passes: int) -> list[Row]:
    """Passes of both, in turns; the medians as rows."""
    name = recording.name.split(".")[0]
    ours, theirs = await passes_of_both(recording, passes)
    return [*_rows(name, ours, theirs), *first_block_rows(f"{name}, posted in blobs", ours, theirs)]


async def measure_start(recording: Path, passes: int) -> list[Row]:
    """The time to the first block of another chain, as rows."""
    ours, theirs = await passes_of_both(recording, passes)
    return first_block_rows(f"{recording.name.split('.')[0]}, posted in call data", ours, theirs)


async def passes_of_both(recording: Path, passes: int) -> tuple[list[Sync], list[Sync]]:
    """Our syncs and op-node's, in turns."""
    world = read_vector(recording)
    rollup = recorded_rollup(world)
    last = world["expected"]["safe_after"][-1]["safe_l2"]
    where = (last["hash"], int(last["number"]))
    ours: list[Sync] = []
    theirs: list[Sync] = []
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as temporary:
        folder = Path(temporary)
        async with kroma_serve(folder / "l1", recording) as l1:
            for number in range(passes):
                ours.append(await sync_ours(folder / f"ours-{number}", rollup, l1, *where))
                theirs.append(await sync_op_node(folder / f"op-node-{number}", rollup, l1, *where))
    return ours, theirs


def median(passes: Sequence[Sync], field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in passes))


def _rows(name: str, ours: Sequence[Sync], theirs: Sequence[Sync]) -> list[Row]:
    blocks = ours[0].blocks
    seconds, other = median(ours, "seconds"), median(theirs, "seconds")
    cpu, other_cpu = median(ours, "node_cpu"), median(theirs, "node_cpu")
    memory, other_memory = median(ours, "memory"), median(theirs, "memory")
    return [
        Row(
            what=f"sync of {name} ({blocks} blocks) on op-geth, beside op-node, blocks/s",
            ours=f"{blocks / seconds:.0f}",
            other=f"{blocks / other:.0f}",
            ratio=other / seconds,
        ),
        Row(
            what="  CPU time of the rollup node, s (and of op-geth)",
            ours=f"{cpu:.1f} ({median(ours, 'engine_cpu'):.1f})",
            other=f"{other_cpu:.1f} ({median(theirs, 'engine_cpu'):.1f})",
            ratio=other_cpu / cpu,
        ),
        Row(
            what="  resident memory of the rollup node, MB at most",
            ours=f"{memory:.0f}",
            other=f"{other_memory:.0f}",
            ratio=other_memory / memory,
        ),
        Row(
            what=f"  goal: {MOST_MEMORY:.0f} MB to ours",
            ours=f"{memory:.0f}",
            ratio=MOST_MEMORY / memory,
            least=1.0,
            met=memory < MOST_MEMORY,
        ),
    ]


def first_block_rows(name: str, ours: Sequence[Sync], theirs: Sequence[Sync]) -> list[Row]:
    first, other_first = median(ours, "first_block"), median(theirs, "first_block")
    return [
        Row(
            what=f"start to first derived block of {name}, s",
            ours=f"{first:.2f}",
            other=f"{other_first:.2f}",
            ratio=other_first / first,
        ),
        Row(
            what=f"  goal: {FIRST_BLOCK:.0f} s to ours",
            ours=f"{first:.2f}",
            ratio=FIRST_BLOCK / first,
            least=1.0,
            met=first < FIRST_BLOCK,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sync_op_geth", description="Our sync beside op-node's.")
    parser.add_argument("recording", type=Path, nargs="?", default=RECORDING)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if all((PROGRAMS / name).exists() for name in NEEDED):
        rows = trio.run(measure, arguments.recording, arguments.passes)
        rows += trio.run(measure_start, CALLDATA, arguments.passes)
    else:
        rows = [Row(what="sync on op-geth, beside op-node", ours="not run", other="op-geth is not built: make peers")]
    show(rows, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
