"""What a profile may name: `rpc` as L1 source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from kroma_core.api import Facts, L1Source, Offer, PluginContext, Secret, hookimpl
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import ConfigError
from kroma_core.jsonrpc.address import ServerAddress


@attrs.frozen(kw_only=True)
class RpcSettings:
    """An L1 that JSON-RPC servers show."""

    urls: tuple[str | Secret, ...]
    """Servers (http, https, ws, wss), the preferred one first; the others stand in for it. A URL that holds a key is
    named as a secret: `{ env = "NAME" }` or `{ file = "path" }`."""
    timeout: float = 10.0
    """Seconds for one request with its answer."""
    requests_per_second: float = 0.0
    """Calls a second to each server, every call of a batch counted; 0 means as many as needed."""
    max_batch: int = 20
    """Most calls in one request. Halved by itself where a server refuses more; 1 for servers without batches."""
    max_concurrency: int = 8
    """Requests to one server that may be under way at once."""
    poll_interval: float = 4.0
    """Seconds between two looks at the head. A server at a WebSocket URL tells of new heads itself, besides."""
    labels_interval: float = 30.0
    """Seconds between two looks at the safe and the finalized head, and at whether the other servers are further."""
    patience: float = 24.0
    """Seconds for which a head is kept that no server shows any more, before one that lies lower counts."""
    prefetch: int = 32
    """Blocks that are fetched ahead of the one that is being read."""
    cache_mb: int = 96
    """Megabytes of blocks and receipts that are kept in memory."""
    skip_transactions_root: bool = False
    """Believe the transactions of blocks with blob transactions without comparing their root. For test chains of anvil
    alone, whose roots are wrong there: such an L1 can feed the node what it likes."""


def problems_with(settings: RpcSettings, chain: ChainConfig) -> Sequence[str]:
    """What is wrong with settings, before anything opens."""
    problems: list[str] = []
    if not settings.urls:
        problems.append("urls: expected at least one")
    for place, url in enumerate(settings.urls, 1):
        try:
            ServerAddress.parse(revealed(url))
        except ConfigError as error:
            problems.append(f"urls: item {place}: {error}")
    for name in ("timeout", "poll_interval", "labels_interval", "max_batch", "max_concurrency", "cache_mb"):
        if getattr(settings, name) <= 0:
            problems.append(f"{name}: expected more than 0, got {getattr(settings, name)}")
    for name in ("requests_per_second", "patience", "prefetch"):
        if getattr(settings, name) < 0:
            problems.append(f"{name}: expected 0 or more, got {getattr(settings, name)}")
    return problems


def revealed(url: str | Secret) -> str:
    """The URL itself; not for messages."""
    return url.reveal() if isinstance(url, Secret) else url


@asynccontextmanager
async def open_rpc(settings: RpcSettings, context: PluginContext) -> AsyncIterator[L1Source]:
    """Open the source. Servers that answer have to be of the rollup's L1 chain; those that do not are asked later.

    Raises `ConfigError` for a server of another chain.
    """
    from kroma_l1_rpc.opening import opened

    async with opened(settings, context) as source:
        yield source


async def inspect(settings: RpcSettings, context: PluginContext) -> Sequence[Facts]:
    from kroma_l1_rpc.inspection import inspected

    return await inspected(settings, context)


@hookimpl
def provide_l1_sources() -> Sequence[Offer[L1Source]]:
    return [
        Offer(
            kind="rpc",
            config=RpcSettings,
            open=open_rpc,
            check=problems_with,
            inspect=inspect,
            summary="L1 over JSON-RPC, from several servers, everything checked against its hash",
        )
    ]
