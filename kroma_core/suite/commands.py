"""A client as a command with places to fill in, and its processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import trio

from kroma_core.errors import ConfigError, KromaError

_PLACE = re.compile(r"\{([a-z0-9_]+)\}")
_STOP_SECONDS = 20.0
_MARK = ".kroma-suite"
"""A file that says of a folder that a run has made it."""
_TAIL = 4000


class ClientEnded(KromaError):
    """The client's process ended before it was to."""


def places_of(command: Sequence[str]) -> set[str]:
    """The names in braces."""
    return {name for word in command for name in _PLACE.findall(word)}


def check_places(command: Sequence[str], known: Mapping[str, str], needed: Sequence[str]) -> None:
    """Raises `ConfigError` for a place that nothing is known for, and for one that is missing."""
    found = places_of(command)
    unknown = sorted(found - set(known))
    told = ", ".join(f"{{{name}}} ({meaning})" for name, meaning in known.items())
    if unknown:
        raise ConfigError(f"the command has {', '.join(f'{{{name}}}' for name in unknown)}; known are {told}")
    missing = [name for name in needed if name not in found]
    if missing:
        raise ConfigError(f"the command lacks {', '.join(f'{{{name}}}' for name in missing)}: known are {told}")


def filled(command: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words of the command, with the values in their places."""
    return [_PLACE.sub(lambda match: str(values[match[1]]), word) for word in command]


def fresh(folder: Path) -> Path:
    """The folder, empty. Raises `ConfigError` where it holds something that no run has left there."""
    mark = folder / _MARK
    if folder.exists():
        if not mark.is_file():
            raise ConfigError(f"{folder}: exists, and was not made by a run: it is left alone")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    mark.touch()
    return folder


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.frozen(kw_only=True)
class Started:
    """A process that runs; its children are ended with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises `ClientEnded`."""
        code = self.process.poll()
        if code is not None:
            raise ClientEnded(f"{self.name} ended with exit code {code}")

    def tail(self) -> str:
        """The end of what it has written."""
        return self.log.read_text(errors="replace")[-_TAIL:]

    async def stop(self) -> None:
        """End it and all that it has started; by force where that takes long."""
        self._signal(signal.SIGTERM)
        with trio.move_on_after(_STOP_SECONDS):
            while True:
                if self.process.poll() is not None:
                    break
                await trio.sleep(0.02)
        self._signal(signal.SIGKILL)
        await trio.to_thread.run_sync(self.process.wait)

    def _signal(self, how: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, how)


@asynccontextmanager
async def started(name: str, command: Sequence[str], folder: Path, *, pipes: bool = False) -> AsyncIterator[Started]:
    """Start a command in `folder`, in a process group of its own, which is ended when the context is left.

    `pipes`: its standard input and output are for the caller, and only its errors go into the log. Raises
    `ConfigError` where it cannot be started.
    """
    log = _log(folder, name)
    with log.open("ab") as output:
        try:
            process = await trio.to_thread.run_sync(
                lambda: subprocess.Popen(
                    list(command),
                    cwd=folder,
                    stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if pipes else output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        except OSError as error:
            raise ConfigError(f"start {command[0]}: {error.strerror}") from error
    one = Started(name=name, process=process, log=log)
    try:
        yield one
    finally:
        with trio.CancelScope(shield=True):
            await one.stop()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _log(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"
