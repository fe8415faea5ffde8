"""Bundles without a thread: beside a clock that jumps whenever the test's own tasks wait, a thread is always late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from kroma_core.node.shadow.divergence import Divergence


async def at_once(write: Callable[[Divergence], Path], divergence: Divergence) -> Path:
    await trio.lowlevel.checkpoint()
    return write(divergence)
