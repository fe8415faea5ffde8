"""What a profile may name: `pyevm` as engine."""

from __future__ import annotations

import enum
import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Capability, ExecutionEngine, Offer, PluginContext, hookimpl
from kroma_core.chain.config import ChainConfig
from kroma_engine_pyevm.refusals import problems_with


class StoreKind(enum.StrEnum):
    """Where the engine keeps its chain."""

    ROCKSDB = "rocksdb"
    """On disk, in the node's data folder."""
    MEMORY = "memory"
    """In memory: gone when the node ends."""


@attrs.frozen(kw_only=True)
class EngineSettings:
    """The embedded engine."""

    store: StoreKind = StoreKind.ROCKSDB
    """Where the chain is kept: `rocksdb` (on disk) or `memory`."""
    call_seconds: float = 5.0
    """What a query that runs bytecode (a call, an estimate, a trace) may take."""
    trace_seconds: float = 60.0
    """What the trace of a whole block for a prover may take."""
    pool_transactions: int = 6144
    """Transactions that wait for a block, at most."""
    pool_for_sender: int = 80
    """Transactions of one sender that wait, at most."""
    fill_seconds: float = 1.0
    """How long a block that is built here takes transactions from the pool."""


@asynccontextmanager
async def open_engine(settings: EngineSettings, context: PluginContext) -> AsyncIterator[ExecutionEngine]:
    from kroma_engine_pyevm.engine import PyEvmEngine
    from kroma_engine_pyevm.pool import PoolLimits
    from kroma_engine_pyevm.store import MemoryStore, open_rocks

    limits = PoolLimits(transactions=settings.pool_transactions, for_sender=settings.pool_for_sender)
    opened = functools.partial(
        PyEvmEngine,
        context.chain,
        seconds=settings.call_seconds,
        trace_seconds=settings.trace_seconds,
        limits=limits,
        fill_seconds=settings.fill_seconds,
        emit=context.emit,
    )
    if settings.store is StoreKind.MEMORY:
        yield opened(MemoryStore())
        return
    with open_rocks(context.data_dir / "chain") as store:
        yield opened(store)


def check(settings: EngineSettings, chain: ChainConfig) -> Sequence[str]:
    return problems_with(chain)


@hookimpl
def provide_engines() -> Sequence[Offer[ExecutionEngine]]:
    return [
        Offer(
            kind="pyevm",
            config=EngineSettings,
            open=open_engine,
            check=check,
            summary="executes blocks inside the node, on py-evm",
            capabilities=frozenset(
                {
                    Capability.EXECUTES,
                    Capability.PROOFS,
                    Capability.STATE_QUERIES,
                    Capability.TX_POOL,
                    Capability.BLOCK_TRACES,
                }
            ),
        )
    ]
