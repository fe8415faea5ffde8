"""Tasks that run beside a part for as long as it is open."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio


class BackgroundTasks:
    """`async with BackgroundTasks() as nursery:` tasks are cancelled at the end of the block.

    Unlike a plain nursery's, an error of the block itself is raised as it is, not in a group: callers of a part that is
    opened with this can catch its `TemporaryError`. What a task raises cancels the block and comes out in a group.
    """

    def __init__(self) -> None:
        self._opened: AbstractAsyncContextManager[trio.Nursery] = trio.open_nursery()

    async def __aenter__(self) -> trio.Nursery:
        self._nursery = await self._opened.__aenter__()
        return self._nursery

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._nursery.cancel_scope.cancel()
        if isinstance(error, Exception):
            await self._opened.__aexit__(None, None, None)
            return False
        return await self._opened.__aexit__(kind, error, trace)
