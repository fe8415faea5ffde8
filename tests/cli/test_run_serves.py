"""`kroma run` with tables of servers: they listen where they say, and tell of the chain that is followed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from tests.cli.recordings import SHORT
from tests.vectors.unit_files import load

PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "cassette"
path = "{recording}"
follow = true
[[blobs]]
kind = "cassette"
path = "{recording}"
[[data]]
kind = "calldata"
[engine]
kind = "recorded"
path = "{recording}"
[rpc]
port = 0
[metrics]
port = 0
"""


@contextmanager
def running(profile: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command, once both servers have said where they listen, and their addresses by table."""
    command = [
        sys.executable,
        "-c",
        "import sys; from kroma_core.cli import main; sys.exit(main())",
        "run",
        str(profile),
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process, dict(_addresses(process.stderr))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _addresses(lines: IO[str]) -> Iterator[tuple[str, str]]:
    told = 0
    for line in lines:
        found = re.search(r"\[(\w+)\] listens on (127\.0\.0\.1:\d+)", line)
        if found is not None:
            yield found[1], found[2]
            told += 1
            if told == 2:
                return


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("node") / "node.toml"
    path.write_text(PROFILE.format(recording=SHORT))
    return path


def call(address: str, method: str) -> Any:
    answer = httpx.post(f"http://{address}/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": []})
    return answer.json()["result"]


def test_servers_tell_of_the_chain_that_is_followed(profile: Path) -> None:
    last = load(SHORT)["expected"]["blocks"][-1]
    with running(profile, "--log-level", "error") as (_, addresses):
        assert sorted(addresses) == ["metrics", "rpc"]
        while (status := call(addresses["rpc"], "optimism_syncStatus"))["safe_l2"]["number"] < last["number"]:
            pass
        assert status["safe_l2"]["hash"] == last["hash"]
        figures = httpx.get(f"http://{addresses['metrics']}/metrics").text
        assert f'op_node_default_refs_number{{layer="l2",type="l2_safe"}} {float(last["number"])}' in figures
        assert "op_node_default_up 1.0" in figures
        assert httpx.get(f"http://{addresses['rpc']}/healthz").status_code == 200


def test_options_of_the_command_line_go_before_the_profile(profile: Path) -> None:
    with running(profile, "--log-level", "debug", "--log-format", "json") as (process, _):
        assert process.stderr is not None
        lines = (line for line in process.stderr if line.startswith("{"))
        assert "event" in json.loads(next(lines))
