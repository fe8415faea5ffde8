"""The node as a process: killed, stopped, with a full disk, and on another chain's folder."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.actions.kill_sync import KROMA, RECORDING, Sync, events_of, kill_at_points, recorded_head

OTHER = RECORDING.with_name("timeouts-fjord.json.xz")


def test_a_sync_that_is_killed_at_any_point_arrives_all_the_same(tmp_path: Path) -> None:
    assert len(kill_at_points(tmp_path, seed=4, points=2)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recording", "points"), [("timeouts-canyon", 30), ("reorg-jovian", 20)], ids=["timeouts", "reorgs"]
)
def test_fifty_points_of_a_sync(tmp_path: Path, recording: str, points: int) -> None:
    path = RECORDING.with_name(f"{recording}.json.xz")
    assert len(kill_at_points(tmp_path, seed=20, points=points, recording=path)) == points


def test_a_node_that_is_told_to_stop_closes_within_five_seconds_and_goes_on_later(tmp_path: Path) -> None:
    sync = Sync(tmp_path / "node", RECORDING).prepare()
    process = sync.start()
    assert process.stderr is not None
    for told, _ in enumerate(events_of(process.stderr), 1):
        if told >= 100:
            break
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert sync.finished().heads["safe"] == recorded_head(RECORDING)


def test_a_folder_of_another_chain_is_refused_by_name(tmp_path: Path) -> None:
    sync = Sync(tmp_path / "node", RECORDING).prepare()
    assert sync.killed_after(10)
    (sync.folder / "node.toml").write_text((sync.folder / "node.toml").read_text().replace(RECORDING.name, OTHER.name))
    done = subprocess.run([KROMA, "run", "node.toml"], cwd=sync.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "data directory data: it belongs to chain" in done.stderr
    assert "this profile is for" in done.stderr


@pytest.mark.parametrize(
    ("store", "limit", "said"),
    [("memory", 8 << 10, "the safe-head log data/safe_heads.sqlite: "), ("rocksdb", 64 << 10, "engine store data")],
    ids=["safe-head log", "engine store"],
)
def test_a_disk_that_is_full_is_told_and_the_next_start_goes_on(
    tmp_path: Path, store: str, limit: int, said: str
) -> None:
    """A limit to the size of files stands in for the full disk."""
    sync = Sync(tmp_path / "node", RECORDING).prepare(store)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [KROMA, "run", "--json", "node.toml"],
        cwd=sync.folder,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limited,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert told[-1]["event"] == "failed"
    assert said in told[-1]["error"]
    assert sync.finished().heads["safe"] == recorded_head(RECORDING)
