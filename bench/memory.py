"""Memory while a long made-up chain is derived: at 100, 1 000, 10 000 and 100 000 L2 blocks.

    python -m bench.memory [--blocks N] [--json]

The chain is written as a recording first, then derived by the node's driver from the recorded L1, blobs and all, in a
process of its own. The engine keeps only its newest blocks, so what grows is the node's. Memory is what the process
has resident, now and at most so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio
from kroma_da_blob.blob_data import BlobData
from kroma_derive_calldata.call_data import CallData
from kroma_l1_cassette.blob_source import CassetteBlobs
from kroma_l1_cassette.l1_source import CassetteL1

from bench.rows import Row, show
from bench.sealing_engine import SealingEngine
from bench.synthetic_chain import write_recording
from kroma_core.chain.load import chain_from_json
from kroma_core.derive.steps import Derived
from kroma_core.node.driver import Driver
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.retry import IMPATIENT
from kroma_core.recording import open_recording

BLOCKS = 100_000
FIRST = 100
LEAST = 0.9
"""Memory at the first measuring point over memory at the last: 1 is flat."""
_STATUS = Path("/proc/self/status")
_KIB = 1024


@attrs.frozen(kw_only=True)
class Point:
    """Memory in MiB after so many derived blocks and so much processor time.

    `now` is the same as `most` where the system does not tell.
    """

    blocks: int
    now: float
    most: float
    seconds: float


def points_up_to(blocks: int) -> tuple[int, ...]:
    """Tenfold steps from `FIRST`, and the end."""
    steps = [FIRST]
    while steps[-1] * 10 <= blocks:
        steps.append(steps[-1] * 10)
    return tuple(steps)


async def derive(path: Path, blocks: int) -> list[Point]:
    """Derive the recording up to its end and take the measurements on the way."""
    started = time.process_time()
    wanted = iter(points_up_to(blocks))
    found: list[Point] = []
    due = next(wanted)

    def on_derived(derived: Derived, confirmed: Confirmed) -> None:
        nonlocal due
        if confirmed.ref.number == due:
            found.append(_point(due, time.process_time() - started))
            due = next(wanted, 0)

    with open_recording(path) as recording:
        chain = chain_from_json(recording.rollup_config, None, recording.l1_chain_config, source=str(path))
        driver = Driver(
            config=chain,
            l1=CassetteL1(recording),
            data=[BlobData([CassetteBlobs(recording)]), CallData()],
            engine=SealingEngine(chain),
            emit=lambda event: None,
            policy=IMPATIENT,
            resets_without_progress=0,
            on_derived=on_derived,
        )
        await driver.follow()
    if driver.heads.safe.number < blocks:
        raise SystemExit(f"derived {driver.heads.safe.number} blocks of {blocks}")
    return found


def _point(blocks: int, seconds: float) -> Point:
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        now, most = (int(fields[name].split()[0]) / _KIB for name in ("VmRSS", "VmHWM"))
    else:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        now = most = used / _KIB**2 if sys.platform == "darwin" else used / _KIB
    return Point(blocks=blocks, now=now, most=max(now, most), seconds=seconds)


def measure(blocks: int) -> list[Row]:
    """Write a chain, derive it in another process."""
    with tempfile.TemporaryDirectory(prefix="kroma-bench-") as folder:
        path = Path(folder) / "made-up.recording"
        write_recording(path, blocks)
        command = [sys.executable, "-m", "bench.memory", "--derive", str(path), "--blocks", str(blocks)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"deriving the made-up chain failed: {done.stderr.strip()[-2000:]}")
    return list(_rows([Point(**item) for item in json.loads(done.stdout)]))


def _rows(points: list[Point]) -> Iterator[Row]:
    for point in points:
        yield Row(
            what=f"memory after {_spaced(point.blocks)} derived blocks, MiB now (at most)",
            ours=f"{point.now:.1f} ({point.most:.1f})",
        )
    first, last = points[0], points[-1]
    ratio = first.most / last.most
    yield Row(
        what=f"  at most, {_spaced(first.blocks)} blocks to {_spaced(last.blocks)}, MiB",
        ours=f"{last.most - first.most:+.1f}",
        ratio=ratio,
        least=LEAST,
        met=ratio >= LEAST,
    )
    speed = (last.blocks - first.blocks) / max(last.seconds - first.seconds, 1e-9)
    yield Row(what="  the node's driver meanwhile, L2 blocks/s", ours=f"{speed:.0f}")


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description="Memory of a long derivation.")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help=f"at least {FIRST}")
    parser.add_argument("--derive", type=Path, metavar="RECORDING", help="only derive this one, and print the points")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.derive is not None:
        print(json.dumps([attrs.asdict(point) for point in trio.run(derive, arguments.derive, arguments.blocks)]))
        return 0
    show(measure(arguments.blocks), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
