"""`make peers` says what is missing, refuses what is not what was pinned, and does nothing twice."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from peers import build
from tests.architecture.sources import ROOT


@pytest.fixture(autouse=True)
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that programs go to, empty."""
    folder = tmp_path / "built"
    monkeypatch.setattr(build, "BUILT", folder)
    return folder


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Commands that an npm got which packs a program of its own making."""
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str], folder: Path, seconds: float) -> str:
        commands.append(command)
        program = folder / "program"
        program.write_bytes(b"not anvil")
        with tarfile.open(folder / "packed.tgz", "w:gz") as archive:
            archive.add(program, "package/bin/anvil")
        return json.dumps([{"filename": "packed.tgz"}])

    monkeypatch.setattr(build, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/somewhere/{name}")
    return commands


def test_without_go_and_npm_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert build.main(["op-node", "anvil"]) == 1
    told = capsys.readouterr().err
    assert "peers: op-node: needs Go 1.26 or newer" in told
    assert "peers: anvil: needs npm" in told


def test_a_program_that_it_does_not_know_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["reth"]) == 2
    assert "no program 'reth'; there are anvil, op-node, op-batcher, geth" in capsys.readouterr().err


def test_a_package_with_another_digest_is_refused(
    npm: list[Sequence[str]], built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "_platform", lambda: "linux-amd64")
    assert build.main(["anvil"]) == 1
    assert "expected a file with digest sha512-+XmShybE" in capsys.readouterr().err
    assert not (built / "anvil").exists()


def test_what_is_made_is_not_made_again(
    npm: list[Sequence[str]], built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "_platform", lambda: "plan9-amd64")
    assert build.main(["anvil"]) == 0
    assert "no digest of @foundry-rs/anvil-plan9-amd64@1.7.1 is pinned" in capsys.readouterr().err
    assert (built / "anvil").read_bytes() == b"not anvil"
    assert build.main(["anvil"]) == 0
    assert len(npm) == 1
    monkeypatch.setattr(build, "ANVIL_VERSION", "1.7.2")
    assert build.main(["anvil"]) == 0
    assert len(npm) == 2


def test_the_documented_versions_are_those_that_are_built() -> None:
    text = (ROOT / "docs" / "peers.md").read_text()
    node, geth = ((ROOT / "peers" / name / "go.mod").read_text() for name in ("op-node", "op-geth"))
    assert f"| anvil | {build.ANVIL_VERSION} |" in text
    for name, module in (("op-node", node), ("op-batcher", node)):
        version = re.search(r"optimism (v\S+)", module)
        assert version is not None
        assert f"| {name} | {version[1]} |" in text
    version = re.search(r"=> \S+ (v\S+)", geth)
    assert version is not None
    assert f"| op-geth | {version[1]} |" in text
