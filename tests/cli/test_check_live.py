"""`kroma check --live` and the example profiles of a verifier, as an operator meets them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.architecture.sources import ROOT
from tests.cli.recordings import CHAINS, SHORT
from tests.cli.test_serve_command import serving

KROMA = Path(sys.executable).with_name("kroma")
PROFILES = ROOT / "examples" / "profiles"
SERVED = CHAINS / "blobs-jovian.json.xz"
"""The recording whose chain the profiles name."""


def check(profile: Path, l1: str, beacon: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "KROMA_L1__URLS": f'["{l1}"]',
        "KROMA_BLOBS__0__URL": beacon,
        **more,
    }
    return subprocess.run(
        [KROMA, "check", "--live", profile], capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def test_a_profile_whose_servers_fit_passes_and_says_what_they_are() -> None:
    with serving(SERVED) as (_, l1, beacon):
        done = check(PROFILES / "verifier.toml", l1, beacon)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"  asked    l1 rpc {l1}: chain 900, genesis 0x" in done.stdout
    assert f"  asked    blobs beacon {beacon}: chain 900, slots of " in done.stdout
    assert "  asked    engine pyevm: asks no server" in done.stdout


def test_every_server_that_does_not_fit_is_told_in_one_go(tmp_path: Path) -> None:
    with serving(SHORT) as (_, l1, _):
        done = check(
            PROFILES / "op-geth.toml",
            l1,
            "http://127.0.0.1:1",
            KROMA_ENGINE__URL="http://127.0.0.1:2",
            KROMA_ENGINE__JWT_SECRET=str(tmp_path / "jwt.txt"),
            KROMA_NODE__DATA_DIR=str(tmp_path / "data"),
        )
    assert done.returncode == 1
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert f"l1 rpc {l1}: its block 0 is 0x" in said[0]
    assert "blobs beacon http://127.0.0.1:1: no answer: " in said[1]
    assert "engine rpc http://127.0.0.1:2: " in said[2]
    assert "jwt.txt (jwt_secret) is missing" in said[2]
    assert list(tmp_path.iterdir()) == []


def settings(name: str) -> dict[str, Any]:
    return tomllib.loads((PROFILES / f"{name}.toml").read_text())


def test_an_external_engine_takes_two_other_lines_in_a_profile() -> None:
    embedded, external = settings("verifier"), settings("op-geth")
    assert embedded.pop("engine") == {"kind": "pyevm"}
    assert external.pop("engine") == {"kind": "rpc", "jwt_secret": "jwt.txt"}
    assert embedded == external
