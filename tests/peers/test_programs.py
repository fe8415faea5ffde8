"""The programs are there, in the versions that docs/peers.md names, and a missing one is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.peers import programs
from tests.peers.programs import ROOT, program

GO_VERSIONS = {
    "op-node": "github.com/ethereum-optimism/optimism\tv1.16.11",
    "op-batcher": "github.com/ethereum-optimism/optimism\tv1.16.11",
    "geth": "github.com/ethereum-optimism/op-geth\tv1.101702.3-rc.7",
}


def told(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("name", GO_VERSIONS)
def test_go_programs_are_built_from_the_pinned_module(name: str) -> None:
    assert GO_VERSIONS[name] in told("go", "version", "-m", program(name))


def test_anvil_has_the_pinned_version() -> None:
    assert told(program("anvil"), "--version").startswith("anvil Version: 1.7.1")


def test_a_second_make_does_nothing() -> None:
    done = subprocess.run(["python3", ROOT / "peers" / "build.py"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_program_fails_a_test_and_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PROGRAMS", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"anvil is missing: `make peers` builds it"):
        program("anvil")
