"""What a server or service of a running node may see of it, and how it is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
import trio

from kroma_core.api import Clock, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.events import Event
from kroma_core.node.driver import Driver
from kroma_core.node.profile import LogLevel
from kroma_core.node.safe_heads import SafeHeadLog


@attrs.frozen(kw_only=True)
class NodeView:
    """A node in the hands of its services.

    `name` is the profile's. `data_dir` is the node's folder. `driver` tells the status and takes unsafe blocks; the
    engine may be read, and is written to by the driver alone. `set_log_level` takes effect at once.
    """

    name: str
    chain: ChainConfig
    data_dir: Path
    l1: L1Source
    engine: ExecutionEngine
    driver: Driver
    clock: Clock
    emit: Callable[[Event], None]
    set_log_level: Callable[[LogLevel], None]

    @property
    def safe_heads(self) -> SafeHeadLog:
        return self.driver.safe_heads


class Service(Protocol):
    """A task beside the driver. It reports that it has begun (a server: its address), and runs until cancelled.

    What it raises ends the node.
    """

    async def __call__(self, view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None: ...
