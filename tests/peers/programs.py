"""One real program: started on loopback, its output in a file, stopped when the block is left."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".peers"
NAMES = ("anvil", "geth", "op-batcher", "op-node")
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
_TAIL = 3000
_PR_SET_PDEATHSIG = 1


class ProgramFailed(Exception):
    """A program ended, or was not ready in time; the message has the end of what it wrote."""


def program(name: str) -> Path:
    """The built program. Fails the test where it is missing: a peer's test never passes by not running."""
    path = PROGRAMS / name
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is missing: `make peers` builds it", pytrace=False)
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago, and that no earlier call gave."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


_GIVEN: set[int] = set()


@attrs.frozen(kw_only=True)
class Running:
    """A program that runs. `log` is everything it has written."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raises `ProgramFailed` when it has ended by itself."""
        code = self.process.poll()
        if code is not None:
            raise ProgramFailed(f"{self.name} ended with {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-_TAIL:]

    def most_resident_bytes(self) -> int:
        """The most resident memory that the process has had (Linux)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def cpu_seconds(self) -> float:
        """CPU time that the process has taken, in user and system mode (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself; `ProgramFailed` when that takes longer than `seconds`."""
        with trio.move_on_after(seconds):
            while (code := self.process.poll()) is None:
                await trio.sleep(0.02)
            return code
        raise ProgramFailed(f"{self.name} still runs after {seconds} s:\n{self.tail()}")

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        with trio.move_on_after(STOP_SECONDS) as scope:
            while self.process.poll() is None:
                await trio.sleep(0.02)
        if scope.cancelled_caught:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[object],
    folder: Path,
    *,
    ready: Callable[[], Awaitable[bool]] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = READY_SECONDS,
    output: Path | None = None,
) -> AsyncIterator[Running]:
    """Start `command` with `folder` as its working directory; what it writes goes to `folder/NAME.log`.

    `output`: where its standard output goes instead.

    Yields once `ready` says so. Raises `ProgramFailed` when the program ends before, or is not ready within `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("ab") as errors, (log if output is None else output).open("ab") as told:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    started = Running(name=name, log=log, process=process)
    try:
        if ready is not None:
            await _until_ready(started, ready, seconds)
        yield started
    finally:
        with trio.CancelScope(shield=True):
            await started.stop()


async def _until_ready(started: Running, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
    with trio.move_on_after(seconds):
        while True:
            started.check()
            if await ready():
                return
            await trio.sleep(0.05)
    raise ProgramFailed(f"{started.name} is not ready after {seconds} s:\n{started.tail()}")


def _end_with_parent() -> None:
    """Asks Linux to end this process when the tests are killed: nothing stays behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
