"""The measurement of answers while a node is busy runs, on inputs so small that its figures mean nothing."""

from __future__ import annotations

from pathlib import Path

import trio

from bench import latency


def test_answers_are_measured_in_one_process_and_in_several(tmp_path: Path) -> None:
    slowest, _, speed = trio.run(latency.measure, tmp_path, 12)
    assert "12 blocks" in slowest.what
    assert slowest.met is not None
    assert float(speed.ours) > 0
