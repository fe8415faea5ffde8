"""A part for a child process to host, whose methods do what tests need."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.errors import CriticalError, KromaError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.node.isolation.hosts import Part

PACK, UNPACK = threading.Event(), threading.Event()
"""What a `Heavy` value waits for: in the child, and in the process of the test."""


class Heavy:
    """A value that is packed and unpacked when a later call allows it."""

    def __getstate__(self) -> dict[str, bool]:
        return {"packed": PACK.wait(30)}

    def __setstate__(self, state: dict[str, bool]) -> None:
        self.whole = state["packed"] and UNPACK.wait(30)


class StrangeError(TemporaryError):
    """An error of a plugin's own kind."""


@attrs.frozen(kw_only=True)
class Odd:
    """The part. What it does is written to a file, which outlives the process."""

    emit: Callable[[Event], None]
    log: Path

    def note(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text + "\n")

    async def echo(self, value: Any) -> Any:
        return value

    async def process_id(self) -> int:
        return os.getpid()

    async def fail(self, error: KromaError) -> None:
        error.add_note("a note")
        raise error

    async def fail_strangely(self) -> None:
        raise StrangeError("out of the ordinary")

    async def stumble(self) -> None:
        raise KeyError("a mistake in the program")

    async def ask_and_stumble(self) -> None:
        raise KeyError("a mistake that a stranger's question shows")

    async def ask_for_too_much(self) -> Any:
        """A value that no pickle holds."""
        found: list[Any] = []
        for _ in range(100_000):
            found = [found]
        return found

    async def heavy(self) -> Heavy:
        return Heavy()

    async def allow(self) -> None:
        PACK.set()

    async def tell(self, what: str) -> None:
        self.emit(Retrying(part="odd", what=what, error="", attempt=1, delay=0.0))

    async def slow(self, seconds: float) -> None:
        self.note("slow begins")
        try:
            await trio.sleep(seconds)
        except trio.Cancelled:
            self.note("slow is cancelled")
            raise
        self.note("slow ends")

    async def block_loop(self, seconds: float) -> None:
        import time

        self.note("blocked")
        time.sleep(seconds)  # noqa: ASYNC251  # that is what it is for
        self.note("free")

    async def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def quick(self) -> None:
        self.note("quick")

    async def linger(self) -> None:
        """Hang up, and stay."""
        import time

        with socket.socket(fileno=os.dup(int(sys.argv[1]))) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        time.sleep(60)  # noqa: ASYNC251  # that is what it is for

    async def set(self, value: int) -> None:
        self.note(f"set to {value}")


@attrs.frozen(kw_only=True)
class OddHost:
    """`opening` and `closing` are raised there; `open_once` makes every opening but the first fail."""

    log: Path
    opening: KromaError | None = None
    closing: KromaError | None = None
    open_once: bool = False
    slow_closing: float = 0

    @asynccontextmanager
    async def opened(self, emit: Callable[[Event], None]) -> AsyncIterator[Part]:
        if self.opening is not None:
            raise self.opening
        part = Odd(emit=emit, log=self.log)
        if self.open_once and self.log.exists():
            raise CriticalError("only once")
        part.note("opened")
        try:
            queries = frozenset({"ask_and_stumble", "ask_for_too_much", "heavy"})
            yield Part(part, queries, lengthy=frozenset({"heavy", "ask_for_too_much"}))
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.slow_closing)
            part.note("closed")
            if self.closing is not None:
                raise self.closing
