"""A child process that is started again when it was killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from kroma_core.errors import CriticalError, KromaError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.node.isolation.hosts import Host
from kroma_core.node.isolation.process import CLOSE_SECONDS, ChildProcess, started
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.tasks import task_group

FRUITLESS_STARTS: Final = 5
"""How often a process may be started again without having answered a single call in between."""


class KeptProcess:
    """Keeps a process with a part running. What the part had not stored is lost with a process that is killed.

    While there is no process, calls raise `TemporaryError`; `CriticalError` once there is no sense in another one.
    """

    def __init__(
        self,
        host: Host,
        part: str,
        emit: Callable[[Event], None],
        policy: RetryPolicy,
        *,
        patience: float = CLOSE_SECONDS,
    ) -> None:
        self._host, self._part, self._emit, self._policy, self._patience = host, part, emit, policy, patience
        self._child: ChildProcess | None = None
        self._error: KromaError = TemporaryError(f"{part}: its process does not run")
        self._fruitless = 0
        self._changed = trio.Event()
        self._lasting: dict[str, tuple[Any, ...]] = {}

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._child.pid if self._child is not None else None

    async def call(self, method: str, *arguments: Any, ordered: bool = True) -> Any:
        """What the part's method returns or raises. See `ChildProcess`."""
        if self._child is None:
            await trio.lowlevel.checkpoint()
            raise self._error
        result = await self._child.call(method, *arguments, ordered=ordered)
        self._fruitless = 0
        return result

    async def call_lasting(self, method: str, *arguments: Any) -> None:
        """A call that sets something for as long as the part runs: each new process gets the last one again."""
        await self.call(method, *arguments, ordered=False)
        self._lasting[method] = arguments

    async def ready(self) -> None:
        """Wait until there is a process. Raises `CriticalError` where there will be none any more."""
        while self._child is None:
            if isinstance(self._error, CriticalError):
                raise self._error
            await self._changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The process runs inside of the block. Raises what opening the part raises, and what closing it raises."""
        async with task_group() as nursery:
            await nursery.start(self._keep_running)
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()

    async def _keep_running(self, *, task_status: trio.TaskStatus[None]) -> None:
        begun = False
        while True:
            try:
                async with started(self._host, self._part, self._emit, patience=self._patience) as child:
                    for method, arguments in self._lasting.items():
                        await child.call(method, *arguments, ordered=False)
                    self._is(child)
                    if not begun:
                        begun = True
                        task_status.started()
                    await child.gone.wait()
                    self._error = child.error
                    self._is(None)
            except KromaError as error:
                if not begun or self._child is not None:  # the first opening, or the last closing
                    raise
                self._error = error
            if isinstance(self._error, TemporaryError):
                await self._pause()
                if self._fruitless <= FRUITLESS_STARTS:
                    continue
                self._error = CriticalError(f"{self._part}: its process was started again in vain: {self._error}")
            elif not isinstance(self._error, CriticalError):
                self._error = CriticalError(f"{self._part}: its process cannot be started again: {self._error}")
            self._is(None)
            return

    def _is(self, child: ChildProcess | None) -> None:
        self._child = child
        self._changed.set()
        self._changed = trio.Event()

    async def _pause(self) -> None:
        """Tell observers, and wait longer from time to time."""
        self._fruitless += 1
        if self._fruitless > FRUITLESS_STARTS:
            return
        delay = self._policy.delay(self._fruitless)
        self._emit(
            Retrying(
                part=self._part,
                what="start its process again",
                error=str(self._error),
                attempt=self._fruitless,
                delay=delay,
            )
        )
        await trio.sleep(delay)
