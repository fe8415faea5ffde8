"""Every chain vector is a recording without contradictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from kroma_core.recording import open_recording, verify
from tests.vectors.unit_files import vectors_root

FOLDERS = ("op-chains", "kroma-chains")
QUICK = ("plain-", "reorg-", "allforks", "regolith-zk")
"""Names of those that the default suite takes from the project's own copy."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    files = sorted(path for folder in FOLDERS for path in (root / folder).glob("*.json.xz"))
    metafunc.parametrize(
        "path",
        [
            pytest.param(path, id=path.name, marks=() if path.name.startswith(QUICK) else pytest.mark.slow)
            for path in files
        ],
    )


def test_recordings_verify(path: Path) -> None:
    with open_recording(path) as recording:
        assert [str(problem) for problem in verify(recording)] == []
