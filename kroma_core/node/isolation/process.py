"""A child process as the node sees it: started, called, cancelled, closed, and what it means when it is gone."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio

from kroma_core.errors import CriticalError, KromaError, TemporaryError
from kroma_core.events import Event
from kroma_core.node.isolation.hosts import Host
from kroma_core.node.isolation.messages import (
    Abandoned,
    Call,
    Cancel,
    Close,
    Closed,
    Emitted,
    Failed,
    Lengthy,
    Opened,
    Returned,
)
from kroma_core.node.isolation.wire import Wire
from kroma_core.node.tasks import task_group

CLOSE_SECONDS: Final = 3.0
"""How long a child may take to close its part before it is killed: a node that is told to end does so within 5 s."""
_POLL_SECONDS: Final = 0.01


@attrs.define
class _Pending:
    done: trio.Event = attrs.field(factory=trio.Event)
    value: Any = None
    error: KromaError | None = None
    abandoned: bool = False


class ChildProcess:
    """One process with one open part. Calls may overlap, but for those that wait for a cancelled one.

    A call that was cancelled may still have its effect; the next `ordered` one is not made before that is settled.
    When the process is gone every call raises: `TemporaryError` where a signal killed it, `CriticalError` where it
    ended by itself, which it does for a mistake in the program alone.
    """

    def __init__(self, part: str, process: subprocess.Popen[bytes], wire: Wire, emit: Callable[[Event], None]) -> None:
        self.part = part
        self.gone = trio.Event()
        """Set when no call can be answered any more."""
        self.error: KromaError = TemporaryError(f"{part}: its process has ended")
        """Why the process is gone, once it is."""
        self._process = process
        self._wire = wire
        self._emit = emit
        self._numbers = itertools.count()
        self._pending: dict[int, _Pending] = {}
        self._unsettled: set[int] = set()
        self._opened = trio.Event()
        self._closed: Closed | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def call(self, method: str, *arguments: Any, ordered: bool = True) -> Any:
        """What the part's method returns or raises."""
        if ordered:
            await self._settle()
        if self.gone.is_set():
            raise self.error
        number, pending = next(self._numbers), _Pending()
        self._pending[number] = pending
        self._wire.send(Call(number, method, arguments))
        try:
            await pending.done.wait()
        except trio.Cancelled:
            if number in self._pending:
                pending.abandoned = True
                self._wire.send(Cancel(number))
                if ordered:
                    self._unsettled.add(number)
            raise
        if pending.error is not None:
            raise pending.error
        if isinstance(pending.value, Lengthy):
            return await trio.to_thread.run_sync(pickle.loads, pending.value.data)
        return pending.value

    async def _settle(self) -> None:
        for number in tuple(self._unsettled):
            if (pending := self._pending.get(number)) is not None:
                await pending.done.wait()
            self._unsettled.discard(number)

    async def opened(self) -> None:
        """Wait until the part is open. Raises what opening it raised."""
        await self._opened.wait()
        if self.gone.is_set():
            raise self.error

    async def pump(self) -> None:
        """Send what is to be sent."""
        await self._wire.pump()

    async def listen(self) -> None:
        """Take what the child says, until it is gone."""
        async for message in self._wire.messages():
            match message:
                case Opened():
                    self._opened.set()
                case Returned(number, value):
                    self._answer(number, value, None)
                case Failed(number, error):
                    self._answer(number, None, error.restored())
                case Abandoned(number):
                    self._answer(number, None, None)
                case Emitted(event):
                    self._emit(event)
                case Closed() as closed:
                    self._closed = closed
        with trio.CancelScope(shield=True):
            await self._ended()
        self._give_up()

    async def close(self, patience: float) -> None:
        """Close the part and end the process, which is killed after `patience` seconds. Raises what closing raised."""
        self._wire.send(Close())
        with trio.CancelScope(shield=True):
            with trio.move_on_after(patience):
                await self.gone.wait()
            await self.kill()
        if self._closed is not None and self._closed.error is not None:
            raise self._closed.error.restored()

    async def kill(self) -> None:
        """End the process at once, and wait until it has."""
        if self._process.poll() is None:
            self._process.kill()
        await self._ended()
        self._wire.close()

    async def _ended(self) -> None:
        """Wait until the process has ended. One that has closed its socket and lingers is killed."""
        with trio.move_on_after(CLOSE_SECONDS) as scope:
            await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        if scope.cancelled_caught:
            self._process.kill()
            await trio.to_thread.run_sync(self._process.wait)

    def _answer(self, number: int, value: Any, error: KromaError | None) -> None:
        pending = self._pending.pop(number)
        pending.value, pending.error = value, error
        pending.done.set()

    def _give_up(self) -> None:
        """The process is gone: nobody need wait for it."""
        code = self._process.returncode
        if self._closed is not None:
            self.error = self.error if self._closed.error is None else self._closed.error.restored()
        elif code < 0:
            self.error = TemporaryError(f"{self.part}: its process was killed ({signal.Signals(-code).name})")
        else:
            self.error = CriticalError(f"{self.part}: its process ended with code {code}; it says why on stderr")
        self.gone.set()
        self._opened.set()
        for pending in self._pending.values():
            pending.error = self.error
            pending.done.set()
        self._pending.clear()


@asynccontextmanager
async def started(
    host: Host, part: str, emit: Callable[[Event], None], *, patience: float = CLOSE_SECONDS
) -> AsyncIterator[ChildProcess]:
    """A child process that hosts a part, open; closed with the block, its process gone.

    A part that has nothing to close needs no `patience`. Raises what opening raises, and at the end what closing
    raises. Cancellation closes it too.
    """
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "kroma_core.node.isolation.child", str(theirs.fileno()), str(os.getpid())]
    with theirs:
        # Not in another thread: on Linux the child ends with the thread that has started it.
        process = subprocess.Popen(  # noqa: ASYNC220  # see above; it takes a few milliseconds, once
            command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
    wire = Wire(ours)
    child = ChildProcess(part, process, wire, emit)
    talking = trio.CancelScope(shield=True)  # the last messages come after the block was cancelled
    async with task_group() as nursery:
        nursery.start_soon(_talk, child, talking)
        wire.send(host)
        try:
            await child.opened()
            yield child
        finally:
            try:
                await child.close(patience)
            finally:
                talking.cancel()


async def _talk(child: ChildProcess, scope: trio.CancelScope) -> None:
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child.pump)
            await child.listen()
            nursery.cancel_scope.cancel()
