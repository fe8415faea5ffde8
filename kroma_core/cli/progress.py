"""Progress on terminals, and nothing elsewhere: a bar for work with an end, and one for a node that catches up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from kroma_core.api import Clock
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event, HeadsMoved, L1HeadsChanged


class Advance(Protocol):
    """Told how far the work is; `total` None where the end is not known."""

    def __call__(self, done: int, total: int | None) -> None: ...


@contextmanager
def bar(title: str, unit: str) -> Iterator[Advance]:
    """A bar on stderr while the context is open; it disappears afterwards."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


@attrs.frozen(kw_only=True)
class Pace:
    """How a node that catches up gets on. `left` is in seconds; None while nothing has moved."""

    safe: int
    target: int
    blocks_per_second: float
    left: float | None

    def __str__(self) -> str:
        speed = f"{self.blocks_per_second:,.0f} blocks/s"
        return f"block {self.safe:,} of about {self.target:,}, {speed}, {_duration(self.left)} left"


@attrs.define(kw_only=True)
class CatchUp:
    """Compares the safe head with the L2 block that belongs to the time of the L1 head.

    The speed is that of the last `window` seconds. A node within `near` blocks of its target is not catching up.
    """

    config: ChainConfig
    clock: Clock
    window: float = 30.0
    near: int = 900
    _target: int | None = None
    _moved: list[tuple[float, int]] = attrs.field(factory=list, init=False)

    def on_event(self, event: Event) -> None:
        match event:
            case L1HeadsChanged(heads=heads):
                rollup = self.config.rollup
                blocks = (heads.unsafe.timestamp - rollup.genesis.l2_time) // rollup.block_time
                self._target = rollup.genesis.l2.number + max(blocks, 0)
            case HeadsMoved(safe=safe):
                now = self.clock()
                if self._moved and (safe.number < self._moved[-1][1] or now < self._moved[-1][0]):
                    self._moved.clear()  # a reset, or a clock that was set back
                if len(self._moved) > 1 and now - self._moved[-2][0] < self.window / 60:
                    self._moved.pop()
                self._moved.append((now, safe.number))
                while len(self._moved) > 2 and now - self._moved[1][0] > self.window:
                    del self._moved[0]
            case _:
                pass

    def pace(self) -> Pace | None:
        """None for a node that is near its target, or does not know it."""
        if self._target is None or not self._moved or self._target - self._moved[-1][1] <= self.near:
            return None
        (since, first), (until, safe) = self._moved[0], self._moved[-1]
        speed = (safe - first) / (until - since) if until > since else 0.0
        left = (self._target - safe) / speed if speed > 0 else None
        return Pace(safe=safe, target=self._target, blocks_per_second=speed, left=left)


@contextmanager
def catching_up(config: ChainConfig, clock: Clock = time.time, *, shown: bool = True) -> Iterator[CatchUpBar | None]:
    """An observer that draws a bar on stderr while the node is far behind; None where stderr is no terminal.

    None too where it is not to be `shown`: among lines that a program reads.

    Lines that are written to `sys.stderr` while the context is open appear above the bar.
    """
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield None
        return
    columns = (TextColumn("catching up"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=None, visible=False)
        yield CatchUpBar(CatchUp(config=config, clock=clock), progress, task, clock)


@attrs.define
class CatchUpBar:
    """Draws what `CatchUp` finds, at most four times a second."""

    _catch_up: CatchUp
    _progress: Progress
    _task: TaskID
    _clock: Clock
    _drawn: float = 0.0

    def on_event(self, event: Event) -> None:
        self._catch_up.on_event(event)
        now = self._clock()
        if 0 <= now - self._drawn < 0.25:
            return
        self._drawn = now
        pace = self._catch_up.pace()
        if pace is None:
            self._progress.update(self._task, visible=False, refresh=True)
        else:
            self._progress.update(
                self._task,
                visible=True,
                completed=pace.safe,
                total=pace.target,
                description=str(pace),
                refresh=True,
            )


def _duration(seconds: float | None) -> str:
    match seconds:
        case None:
            return "unknown time"
        case _ if seconds < 90:
            return f"{seconds:.0f} s"
        case _ if seconds < 5400:
            return f"{seconds / 60:.0f} min"
        case _ if seconds < 172_800:
            return f"{seconds / 3600:.1f} h"
        case _:
            return f"{seconds / 86_400:.1f} days"
