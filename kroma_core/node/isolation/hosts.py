"""What a child process hosts. A host crosses to the child as a value, and opens its part there."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from kroma_core.api import BlockTraces, ExecutionEngine, PluginContext, Role, StateQueries, TxPool
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import ConfigError
from kroma_core.events import Event
from kroma_core.node.isolation.machine import Machine
from kroma_core.node.opened import well_formed
from kroma_core.node.registry import discover


@attrs.frozen
class Part:
    """An open part: whose methods are called, and which of them are asked by strangers.

    What `lengthy` ones of these return may be so long that other calls must not wait while it is packed.
    """

    target: Any
    queries: frozenset[str] = frozenset()
    lengthy: frozenset[str] = frozenset()


class Host(Protocol):
    """Opens a part in the child; `emit` hands events to the node's observers."""

    def opened(self, emit: Callable[[Event], None]) -> AbstractAsyncContextManager[Part]: ...


def methods_of(*protocols: type) -> frozenset[str]:
    """The names of the coroutine methods of protocols."""
    return frozenset(
        name for one in protocols for name, value in vars(one).items() if inspect.iscoroutinefunction(value)
    )


ENGINE_METHODS: Final = methods_of(ExecutionEngine)
QUERY_METHODS: Final = methods_of(StateQueries, TxPool, BlockTraces)
LENGTHY_METHODS: Final = frozenset({"trace_call", "trace_transactions", "trace_block", "headers", "pool_content"})


@attrs.frozen(kw_only=True)
class EngineHost:
    """The engine of an installed offer."""

    kind: str
    settings: Any
    chain: ChainConfig
    data_dir: Path

    @asynccontextmanager
    async def opened(self, emit: Callable[[Event], None]) -> AsyncIterator[Part]:
        found = discover().find(Role.ENGINE, self.kind)
        if found is None:
            raise ConfigError(f"engine {self.kind!r}: its process finds no installed plugin that offers it")
        context = PluginContext(chain=self.chain, data_dir=self.data_dir, clock=time.time, emit=emit)
        async with found.offer.open(self.settings, context) as engine:
            yield Part(well_formed(engine, found), QUERY_METHODS, LENGTHY_METHODS)


@attrs.frozen
class DerivationHost:
    """A derivation machine, made anew as often as it is asked for."""

    @asynccontextmanager
    async def opened(self, emit: Callable[[Event], None]) -> AsyncIterator[Part]:
        yield Part(Machine())
