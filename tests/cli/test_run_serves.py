"""`kroma run` with tables of servers: they listen where they say, and tell of the chain that is followed."""

from __future__ import annotations

import json
import re
import socket
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
        if line.startswith("{"):
            fields = json.loads(line)
            line = f"[{fields.get('table')}] listens on {fields.get('addresses', [''])[0]}"
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
        assert "event" in json.loads(next(process.stderr))


def stderr_of(profile: Path, *options: str) -> list[str]:
    command = [sys.executable, "-c", "import sys; from kroma_core.cli import main; sys.exit(main())", "run"]
    done = subprocess.run([*command, str(profile), *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()


@pytest.fixture
def occupied(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A profile that asks for a port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        text = PROFILE.format(recording=SHORT).replace("[metrics]\nport = 0", f"[metrics]\nport = {port}")
        path = tmp_path / "node.toml"
        path.write_text(text)
        yield path, port


def test_every_line_of_stderr_is_json_from_the_first_to_the_error_at_the_end(occupied: tuple[Path, int]) -> None:
    profile, port = occupied
    found = [json.loads(line) for line in stderr_of(profile, "--log-format", "json")]
    assert found[0]["event"] == "starting"
    assert found[0]["parts"]["engine"] == ["recorded"]
    assert all({"time", "level", "event"} <= line.keys() for line in found)
    assert [line["table"] for line in found if line["event"] == "listening"] == ["rpc"]
    assert (found[-1]["event"], found[-1]["level"]) == ("failed", "error")
    assert str(port) in found[-1]["error"]


def test_every_line_of_stderr_is_logfmt_where_the_profile_says_so(occupied: tuple[Path, int]) -> None:
    profile, _ = occupied
    profile.write_text(profile.read_text() + '[node]\nlog_format = "logfmt"\n')
    found = stderr_of(profile)
    assert all(re.match(r"time=\S+ level=\w+ event=\w+ ", line) for line in found)
    assert " event=starting profile=node " in found[0]
    assert " level=error event=failed error=" in found[-1]
