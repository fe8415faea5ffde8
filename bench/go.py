"""The Go programs of bench/opnode, built where Go is installed, and run so that passes take turns with ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

MODULE = Path(__file__).with_name("opnode")
BUILT = Path(__file__).with_name("results")
_BUILD_SECONDS = 1200


class GoMissing(Exception):
    """The other side of a comparison cannot be run here; the message says why."""


@attrs.frozen
class Turns:
    """A running program that does one pass for each line it reads."""

    _process: subprocess.Popen[str]

    def take(self, asked: str = "") -> dict[str, Any]:
        """One pass, of what is `asked` on its line; its report. Raises `GoMissing` when the program has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{asked}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: its answer is empty
        answer = self._process.stdout.readline()
        if not answer:
            raise GoMissing(f"not run: the Go program ended with exit code {self._process.wait()}")
        report: dict[str, Any] = json.loads(answer)
        return report


def build(package: str) -> Path:
    """A program of the module. The first build fetches the modules that go.mod names, which takes minutes.

    Raises `GoMissing`.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise GoMissing("not run: Go is not installed")
    BUILT.mkdir(exist_ok=True)
    binary = BUILT / f"opnode-{package}"
    command = [go, "build", "-o", str(binary), f"./{package}"]
    try:
        done = subprocess.run(
            command, cwd=MODULE, timeout=_BUILD_SECONDS, capture_output=True, text=True, check=False, env={**os.environ}
        )
    except subprocess.TimeoutExpired as error:
        raise GoMissing(f"not run: go build took more than {_BUILD_SECONDS} s") from error
    if done.returncode:
        raise GoMissing(f"not run: go build: {done.stderr.strip()[-300:]}")
    return binary


@contextmanager
def turns(package: str, arguments: Sequence[str]) -> Iterator[Turns]:
    """Builds a program of the module and keeps it running. Raises `GoMissing`."""
    process = subprocess.Popen(
        [str(build(package)), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Turns(process)
        finally:
            process.kill()
