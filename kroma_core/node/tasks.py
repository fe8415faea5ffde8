"""Tasks side by side whose failure is the error that one of them raised, not a group of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def task_group() -> AsyncIterator[trio.Nursery]:
    """A nursery. Where tasks fail, the first error is raised as it is; the others are told in notes of it."""
    errors: list[BaseException] = []
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        errors = [error for error in _leaves(group) if not isinstance(error, trio.Cancelled)]
        if not errors:
            raise
    if errors:  # raised outside the handler: what led to the error stays what it was
        for other in errors[1:]:
            errors[0].add_note(f"and beside it: {type(other).__name__}: {other}")
        raise errors[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
