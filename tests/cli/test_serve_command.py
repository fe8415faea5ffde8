"""`kroma serve` as an operator runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.recordings import BLOBS, SHORT, kroma

KROMA = Path(sys.executable).with_name("kroma")


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The command on free ports: the process, and the URLs that it tells."""
    command = [KROMA, "serve", *arguments, "--port", "0", "--beacon-port", "0"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        found = re.fullmatch(
            r"L1 (http://127\.0\.0\.1:\d+)  beacon (http://127\.0\.0\.1:\d+)\n", process.stdout.readline()
        )
        assert found is not None, process.communicate(timeout=10)
        yield process, found[1], found[2]
    finally:
        process.kill()
        process.communicate(timeout=10)


def call(url: str, method: str, *params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=request, timeout=20, trust_env=False).json()["result"]


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_by_default_the_end_of_the_timeline_is_served() -> None:
    with serving(BLOBS) as (process, l1, beacon):
        assert told(process).startswith("step 15 of 15: L1 head 14 (0x")
        assert call(l1, "eth_blockNumber") == "0xe"
        assert (
            httpx.get(f"{beacon}/eth/v1/node/version", trust_env=False).json()["data"]["version"].startswith("kroma/")
        )


def test_enter_and_the_method_move_the_timeline_on() -> None:
    with serving(SHORT, "--step") as (process, l1, _):
        assert told(process) == "Enter, or a call of kroma_step, shows the next step\n"
        assert told(process).startswith("step 1 of ")
        assert call(l1, "eth_blockNumber") == "0x0"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert told(process).startswith("step 2 of ")
        assert call(l1, "kroma_step")["step"] == 2
        assert told(process).startswith("step 3 of ")
        assert call(l1, "eth_blockNumber") == "0x2"


def test_the_clock_moves_the_timeline_on() -> None:
    with serving(SHORT, "--block-time", "0.05") as (process, _, _):
        assert [told(process).split()[1] for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_also_while_it_waits_for_enter(how: signal.Signals) -> None:
    with serving(SHORT, "--step") as (process, _, _):
        process.send_signal(how)
        assert process.wait(10) == 130


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [KROMA, "serve", SHORT, "--port", str(port), "--beacon-port", "0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"kroma: [serve] port: cannot listen on 127.0.0.1:{port}: another program listens there\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.krec"], "nowhere.krec"),
        ([__file__], "expected a recording"),
        ([SHORT, "--block-time", "0"], "expected a number of seconds above 0"),
        ([SHORT, "--port", "65536"], "expected a port from 0 to 65535"),
        ([SHORT, "--unsafe-signer", "0x12"], "expected an address of 20 bytes"),
        ([SHORT, "--step", "--block-time", "1"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_message(arguments: list[str], message: str) -> None:
    done = kroma("serve", *arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
