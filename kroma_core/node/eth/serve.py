"""The ports of `[eth]`: HTTP, and WebSocket for subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

import attrs
import trio

from kroma_core.api import BlockTraces, ExecutionEngine, StateQueries, TxPool
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.hexadecimal import data, to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.events import Event
from kroma_core.jsonrpc.background import BackgroundTasks
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import Address, HttpServer, serve_http
from kroma_core.node.eth.block_trace_methods import BlockTraceMethods
from kroma_core.node.eth.blocks import Blocks
from kroma_core.node.eth.chain_methods import ChainMethods
from kroma_core.node.eth.fee_methods import FeeMethods
from kroma_core.node.eth.feed import ChainFeed
from kroma_core.node.eth.filter_methods import FilterMethods
from kroma_core.node.eth.pool_methods import PoolMethods
from kroma_core.node.eth.state_methods import StateMethods
from kroma_core.node.eth.trace_methods import TraceMethods
from kroma_core.node.profile import EthTable

TABLE: Final = "eth"
PERIOD: Final = 0.5
"""Seconds between two looks at the engine's head, for filters and subscribers."""
DISTRIBUTION: Final = "kroma-core"


@attrs.frozen(kw_only=True)
class EthView:
    """What the `eth_` methods need to know of the node.

    `queries`, `pool` and `traces` are the engine as far as it has these protocols; without a pool nothing can be sent,
    without traces provers are not served. `syncing` tells how far the node is behind: the highest block that it knows
    of, None where it is up to date. `miner` serves the methods that say what blocks built here may hold.
    """

    engine: ExecutionEngine
    queries: StateQueries
    pool: TxPool | None
    traces: BlockTraces | None = None
    chain: ChainConfig
    emit: Callable[[Event], None]
    syncing: Callable[[], int | None] = lambda: None
    miner: bool = False


class EthMethods:
    """All methods on one engine, and the feed behind filters and subscriptions, which `run` drives."""

    def __init__(self, view: EthView, period: float = PERIOD) -> None:
        self._view = view
        self._blocks = Blocks(view.chain, view.engine, view.queries, view.pool)
        self.feed = ChainFeed(self._blocks, period)

    def add_to(self, methods: Methods) -> None:
        blocks = self._blocks
        chain, traces = ChainMethods(blocks), TraceMethods(blocks)
        methods.add_namespace("eth", self._node())
        for part in (chain, StateMethods(blocks), FeeMethods(blocks), FilterMethods(blocks, self.feed)):
            methods.add_namespace("eth", part.eth())
        if blocks.pool is not None:
            pool = PoolMethods(blocks, blocks.pool, self.feed)
            methods.add_namespace("eth", pool.eth())
            methods.add_namespace("txpool", pool.txpool())
            if self._view.miner:
                methods.add_namespace("miner", pool.miner())
        if self._view.traces is not None:
            methods.add_namespace("kroma", BlockTraceMethods(blocks, self._view.traces).kroma())
        methods.add_namespace("debug", {**chain.debug(), **traces.debug()})
        methods.add_namespace(
            "net", {"version": self._network, "listening": self._listening, "peerCount": self._peer_count}
        )
        methods.add_namespace("web3", {"clientVersion": self._client_version, "sha3": self._sha3})

    async def run(self) -> None:
        """Drive filters and subscriptions until cancelled."""
        await self.feed.run()

    def _node(self) -> dict[str, Any]:
        return {"chainId": self._chain_id, "syncing": self._syncing, "accounts": self._accounts}

    async def _chain_id(self) -> str:
        return to_quantity(self._view.chain.rollup.l2_chain_id)

    async def _syncing(self) -> Any:
        highest = self._view.syncing()
        if highest is None:
            return False
        heads = await self._view.engine.heads()
        current = (await self._view.queries.header(heads.unsafe)).number
        if highest <= current:
            return False
        start = self._view.chain.rollup.genesis.l2.number
        return {
            "startingBlock": to_quantity(start),
            "currentBlock": to_quantity(current),
            "highestBlock": to_quantity(highest),
        }

    async def _accounts(self) -> list[str]:
        """Accounts that this node can sign for: none."""
        return []

    async def _network(self) -> str:
        return str(self._view.chain.rollup.l2_chain_id)

    async def _listening(self) -> bool:
        return True

    async def _peer_count(self) -> str:
        """Peers of the engine: an embedded one has none of its own."""
        return "0x0"

    async def _client_version(self) -> str:
        return f"kroma/v{metadata.version(DISTRIBUTION)}"

    async def _sha3(self, value: Any) -> str:
        return to_data(keccak256(data(value, "data")))


async def serve_eth(
    table: EthTable,
    view: EthView,
    *,
    period: float = PERIOD,
    task_status: trio.TaskStatus[tuple[Address, Address]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve both ports until cancelled; `task_status` gets the addresses in use, of HTTP and of WebSocket.

    Raises `ConfigError` where a port cannot be had.
    """
    methods = Methods()
    served = EthMethods(view, period)
    served.add_to(methods)

    async def modules() -> dict[str, str]:
        return methods.modules()

    methods.add("rpc_modules", modules)
    http = HttpServer(table=TABLE, methods=methods, hosts=frozenset(table.hosts), emit=view.emit)
    sockets = attrs.evolve(http, websocket=True)
    async with BackgroundTasks() as nursery:
        nursery.start_soon(served.run)
        first: Address = await nursery.start(_on_port, http, table.host, table.port)
        second: Address = await nursery.start(_on_port, sockets, table.host, table.ws_port)
        task_status.started((first, second))
        await trio.sleep_forever()


async def _on_port(
    server: HttpServer, host: str, port: int, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
) -> None:
    await serve_http(server, host=host, port=port, task_status=task_status)
