"""Kills `kroma run` at random points of a sync, and sees that it arrives at the recorded heads all the same.

    python -m tests.actions.kill_sync --seed 7 --points 50 [--recording FILE]

Each point is a number of events: when the process has told so many it gets SIGKILL. Then it is started again on the
same data folder, now and then killed once more, and at last left alone.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "vectors" / "data" / "op-chains" / "timeouts-canyon.json.xz"
KROMA = Path(sys.executable).with_name("kroma")
PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "cassette"
path = "{recording}"
[[blobs]]
kind = "cassette"
path = "{recording}"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "pyevm"
store = "{store}"
[node]
data_dir = "data"
log_level = "debug"
log_format = "json"
isolation = "{isolation}"
"""


@attrs.frozen
class Outcome:
    """What a process came to that was left alone."""

    heads: dict[str, Any]
    events: int


@attrs.frozen
class Sync:
    """A node's folder, and runs of the node in it."""

    folder: Path
    recording: Path

    def prepare(self, store: str = "rocksdb", isolation: str = "none") -> Sync:
        self.folder.mkdir(parents=True)
        profile = PROFILE.format(recording=self.recording, store=store, isolation=isolation)
        (self.folder / "node.toml").write_text(profile)
        return self

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [KROMA, "run", "--json", "node.toml"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def killed_after(self, events: int) -> bool:
        """Run until it has told of so many events, then kill it; False where it came to its end before."""
        process = self.start()
        assert process.stderr is not None
        try:
            for told, _ in enumerate(events_of(process.stderr), 1):
                if told >= events:
                    process.kill()
                    return True
            return False
        finally:
            process.kill()
            process.communicate()

    def finished(self) -> Outcome:
        """Run to the end. Raises `AssertionError` with what it said where it fails."""
        done = subprocess.run(
            [KROMA, "run", "--json", "node.toml"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return Outcome(json.loads(done.stdout), sum(1 for _ in events_of(done.stderr.splitlines())))


def recorded_head(recording: Path) -> dict[str, Any]:
    """The last block of a recording in the JSON form of the vectors."""
    content = lzma.decompress(recording.read_bytes()) if recording.suffix == ".xz" else recording.read_bytes()
    last = json.loads(content)["expected"]["blocks"][-1]
    return {"number": last["number"], "hash": last["hash"]}


def kill_at_points(folder: Path, *, seed: int, points: int, recording: Path = RECORDING) -> list[int]:
    """Kill so many syncs, each in a folder of its own; returns the points. Raises `AssertionError`."""
    dice = random.Random(seed)
    expected = recorded_head(recording)
    undisturbed = Sync(folder / "undisturbed", recording).prepare().finished()
    assert undisturbed.heads["safe"] == expected
    struck: list[int] = []
    while len(struck) < points:
        sync = Sync(folder / f"killed-{len(struck)}", recording).prepare()
        before = len(struck)
        while len(struck) < points:
            point = dice.randint(1, undisturbed.events)
            if sync.killed_after(point):
                struck.append(point)
            if dice.random() < 0.7:
                break
        found = sync.finished()
        assert found.heads == undisturbed.heads, f"seed {seed}, killed after {struck[before:]} events: {found.heads}"
    return struck


def events_of(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a log that tell of events."""
    return (line for line in lines if line.startswith("{"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--recording", type=Path, default=RECORDING)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        struck = kill_at_points(
            Path(folder), seed=arguments.seed, points=arguments.points, recording=arguments.recording.absolute()
        )
    print(f"seed {arguments.seed}: {len(struck)} kills, every sync arrived; points: {struck}")


if __name__ == "__main__":
    main()
