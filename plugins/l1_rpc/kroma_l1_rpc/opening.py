"""Puts an `RpcL1` together and keeps it running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import trio

from kroma_core.api import PluginContext
from kroma_core.derive.attributes import needs_receipts
from kroma_core.errors import ConfigError, TemporaryError
from kroma_core.events import Event, Warned
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.jsonrpc.client import open_client
from kroma_core.jsonrpc.errors import RpcError
from kroma_l1_rpc.budget import Budget
from kroma_l1_rpc.fetching import Fetching
from kroma_l1_rpc.heads import HeadFollower
from kroma_l1_rpc.ledger import Ledger
from kroma_l1_rpc.offers import RpcSettings, revealed
from kroma_l1_rpc.pool import ServerPool
from kroma_l1_rpc.prefetch import Prefetch
from kroma_l1_rpc.server import RpcServer, WrongChain
from kroma_l1_rpc.source import RpcL1
from kroma_l1_rpc.trust import Trust

PART = "l1"
"""How events call this part."""
MEGABYTE = 1_000_000


@asynccontextmanager
async def opened(settings: RpcSettings, context: PluginContext) -> AsyncIterator[RpcL1]:
    """The source, with the tasks that follow the heads and fetch ahead."""
    ledger = Ledger()

    def emit(event: Event) -> None:
        ledger.note(event)
        context.emit(event)

    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(_server(url, settings, context, emit))
            for url in map(revealed, settings.urls)
        ]
        trust = Trust(part=PART, names=[server.name for server in servers], now=trio.current_time, emit=emit)
        pool = ServerPool(servers=servers, trust=trust)
        await _expect_chain(pool)
        if settings.skip_transactions_root:
            emit(
                Warned(
                    part=PART,
                    warning="skip_transactions_root is set: the transactions of L1 blocks with blob transactions are "
                    "believed as servers show them; a server can change what is derived",
                )
            )
        heads = HeadFollower(
            pool,
            poll_interval=settings.poll_interval,
            labels_interval=settings.labels_interval,
            patience=settings.patience,
            emit=emit,
        )
        cache_bytes = settings.cache_mb * MEGABYTE
        fetching = Fetching(pool, cache_bytes=cache_bytes)
        prefetch = Prefetch(
            fetching,
            heads,
            needs_receipts=lambda header: needs_receipts(header, context.chain),
            depth=settings.prefetch,
            at_once=max(1, settings.max_concurrency - 1),
            cache_bytes=cache_bytes,
        )
        nursery = await stack.enter_async_context(BackgroundTasks())
        nursery.start_soon(heads.run)
        nursery.start_soon(prefetch.run)
        for server in servers:
            if server.client.pushes:
                nursery.start_soon(partial(_told_of_heads, server, heads, pause=settings.poll_interval))
        yield RpcL1(pool, fetching, heads, prefetch, ledger)


@asynccontextmanager
async def _server(
    url: str, settings: RpcSettings, context: PluginContext, emit: Callable[[Event], None]
) -> AsyncIterator[RpcServer]:
    async with open_client(
        url, part=PART, emit=emit, timeout=settings.timeout, connections=settings.max_concurrency
    ) as client:
        yield RpcServer(
            client,
            budget=Budget(per_second=settings.requests_per_second, at_once=settings.max_concurrency),
            max_batch=settings.max_batch,
            chain_id=context.chain.rollup.l1_chain_id,
            skip_root_with_blobs=settings.skip_transactions_root,
        )


async def _expect_chain(pool: ServerPool) -> None:
    """Raise `ConfigError` where servers that answer are of another chain; the others are asked again when needed."""
    problems: list[str] = []

    async def check(place: int, server: RpcServer) -> None:
        try:
            await server.expect_chain()
        except WrongChain as error:
            problems.append(str(error))
        except TemporaryError as error:
            pool.trust.failed(place, error)

    async with trio.open_nursery() as nursery:
        for place, server in enumerate(pool.servers):
            nursery.start_soon(check, place, server)
    if problems:
        raise ConfigError(*sorted(problems))


async def _told_of_heads(server: RpcServer, heads: HeadFollower, *, pause: float) -> None:
    """Look at the heads whenever a server says that there is a new one; polling goes on besides."""
    while True:
        try:
            await server.expect_chain()
            async for _ in server.client.subscribe("newHeads"):
                heads.wake()
        except RpcError:
            return  # it has no subscriptions
        except TemporaryError:
            await trio.sleep(pause)
