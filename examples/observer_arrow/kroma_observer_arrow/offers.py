"""What a profile may name: `arrow` as observer.

This module is loaded to list what is installed: import nothing heavy here.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from kroma_core.api import Observer, Offer, PluginContext, hookimpl
from kroma_core.chain.config import ChainConfig


class Format(enum.StrEnum):
    """How a table is written."""

    PARQUET = "parquet"
    ARROW = "arrow"
    """Arrow's IPC file format, also known as Feather version 2."""


@attrs.frozen(kw_only=True)
class ArrowSettings:
    """What a profile may say about it."""

    folder: Path | None = None
    """Where the files go; default: the part's own folder in the node's data."""
    format: Format = Format.PARQUET
    """`parquet`: smaller; `arrow`: faster to write, and mapped into memory as it is."""
    max_megabytes: int = 64
    """A file that has become as large as this is closed, and the next one begun."""
    max_minutes: float = 60.0
    """A file that is as old as this is closed, and the next one begun: readers see closed files only."""
    queue: int = 65_536
    """Events that may wait to be written; those that come while so many do are left out, and counted."""
    leave_out: tuple[str, ...] = ("RequestAnswered", "RequestServed")
    """Kinds of events that are not written."""


def check_settings(settings: ArrowSettings, chain: ChainConfig) -> Sequence[str]:
    """What is wrong with the settings, for `kroma check`."""
    return tuple(_problems(settings))


def _problems(settings: ArrowSettings) -> Iterator[str]:
    if settings.folder is not None and settings.folder.exists() and not settings.folder.is_dir():
        yield f"folder: {settings.folder} is not a folder"
    for name in ("max_megabytes", "max_minutes", "queue"):
        if not getattr(settings, name) > 0:
            yield f"{name}: expected a number above 0, got {getattr(settings, name)}"


@asynccontextmanager
async def open_arrow(settings: ArrowSettings, context: PluginContext) -> AsyncIterator[Observer]:
    from kroma_core.jsonrpc.background import BackgroundTasks
    from kroma_observer_arrow.observer import ArrowObserver
    from kroma_observer_arrow.tables import Tables

    tables = Tables(
        folder=settings.folder or context.data_dir,
        format=settings.format,
        max_bytes=settings.max_megabytes << 20,
        max_seconds=settings.max_minutes * 60,
    )
    observer = ArrowObserver(tables=tables, settings=settings, clock=context.clock, emit=context.emit)
    async with BackgroundTasks() as nursery:
        nursery.start_soon(observer.run)
        try:
            yield observer
        finally:
            with trio.CancelScope(shield=True):  # what was told is written, also where the node was cancelled
                await observer.finish()


@hookimpl
def provide_observers() -> Sequence[Offer[Observer]]:
    return [
        Offer(
            kind="arrow",
            config=ArrowSettings,
            open=open_arrow,
            check=check_settings,
            summary="blocks and events as Parquet or Arrow files, for analysis",
        )
    ]
