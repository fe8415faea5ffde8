"""Stopping on a signal at a point where nothing is half done: at trio's checkpoints, parts closed in order."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import outcome
import trio

T = TypeVar("T")


def run_until_signal(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in trio. SIGINT or SIGTERM cancels it, then raises `KeyboardInterrupt`; a second one does not wait."""
    return trio.run(_guarded, main)


async def _guarded(main: Callable[[], Awaitable[T]]) -> T:
    stopped = False

    async def watch(scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
        nonlocal stopped
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                stopped = True
                scope.cancel()
                return

    async with trio.open_nursery() as nursery:
        await nursery.start(watch, nursery.cancel_scope)
        result = await outcome.acapture(main)  # kept out of the nursery, which would wrap an error into a group
        nursery.cancel_scope.cancel()
    if stopped:
        raise KeyboardInterrupt
    return result.unwrap()
