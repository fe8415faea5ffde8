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
class EngineView:
    """What every node has, also one that does not derive, in the hands of its services.

    `name` is the profile's. `data_dir` is the node's folder. `set_log_level` takes effect at once.
    """

    name: str
    chain: ChainConfig
    data_dir: Path
    engine: ExecutionEngine
    clock: Clock
    emit: Callable[[Event], None]
    set_log_level: Callable[[LogLevel], None]


@attrs.frozen(kw_only=True)
class NodeView(EngineView):
    """A node that derives. The engine may be read, and is written to by the driver alone.

    `driver` tells the status and takes unsafe blocks.
    """

    l1: L1Source
    driver: Driver

    @property
    def safe_heads(self) -> SafeHeadLog:
        return self.driver.safe_heads


class EngineService(Protocol):
    """A `Service` that needs no more than an engine."""

    async def __call__(self, view: EngineView, *, task_status: trio.TaskStatus[Any]) -> None: ...


class Service(Protocol):
    """A task beside the driver. It reports that it has begun (a server: its address), and runs until cancelled.

    What it raises ends the node.
    """

    async def __call__(self, view: NodeView, *, task_status: trio.TaskStatus[Any]) -> None: ...
