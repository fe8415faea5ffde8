"""The embedded engine on the beginning of a recorded chain, and its `eth_` methods over sockets."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import Applied, Building, PluginContext, Port, Role, Sealed, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.events import Event
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.l2 import ForkchoiceState, Payload, PayloadAttributes
from kroma_core.node.eth.serve import EthView, serve_eth
from kroma_core.node.profile import EthTable
from kroma_core.node.registry import discover
from kroma_core.node.settings import SettingsReader
from kroma_core.recording import ExpectedBlock, open_recording
from tests.vectors.unit_files import OWN_VECTORS


@functools.cache
def recorded(name: str) -> tuple[ChainConfig, tuple[ExpectedBlock, ...]]:
    """The chain of a vector, and its blocks from 1 on."""
    with open_recording(OWN_VECTORS / "op-chains" / f"{name}.json.xz") as recording:
        assert recording.expected is not None
        chain = chain_from_json(recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=name)
        return chain, tuple(recording.expected.blocks())


@attrs.frozen(kw_only=True)
class World:
    """What a test sees: an engine, a client over HTTP, and one over a WebSocket."""

    engine: Any
    chain: ChainConfig
    blocks: tuple[ExpectedBlock, ...]
    client: Client
    url: str
    socket_url: str
    events: list[Event]

    @property
    def heads(self) -> ForkchoiceState:
        return heads_of(self.blocks)

    async def adopt(self, *payloads: Payload) -> None:
        """Execute blocks and make the last one the head."""
        for payload in payloads:
            assert await self.engine.execute(payload) == Valid()
        await self.move_to(payloads[-1].hash)

    async def move_to(self, block_hash: bytes) -> None:
        genesis = self.chain.rollup.genesis.l2.hash
        heads = ForkchoiceState(unsafe=block_hash, safe=genesis, finalized=genesis)
        assert await self.engine.set_heads(heads) == Applied()

    async def build(self, parent: bytes, attributes: PayloadAttributes) -> Payload:
        building = await self.engine.build(parent, attributes, await self.engine.heads())
        assert isinstance(building, Building), building
        sealed = await self.engine.seal(building)
        assert isinstance(sealed, Sealed), sealed
        return sealed.payload


def heads_of(blocks: tuple[ExpectedBlock, ...]) -> ForkchoiceState:
    """The heads that comparisons are made with."""
    middle, low = blocks[len(blocks) // 2], blocks[len(blocks) // 4]
    return ForkchoiceState(unsafe=blocks[-1].hash, safe=middle.hash, finalized=low.hash)


@asynccontextmanager
async def world_on(name: str, count: int, **settings: Any) -> AsyncIterator[World]:
    """The engine at block `count` of a recorded chain, served."""
    chain, all_blocks = recorded(name)
    blocks = all_blocks[:count]
    found = discover().find(Role.ENGINE, "pyevm")
    assert found is not None
    offer = found.offer
    config: Any = offer.config
    nowhere = Path("/nonexistent")
    wanted = SettingsReader(base=nowhere, environment={}).read({"store": "memory", **settings}, config, "[engine]", [])
    context = PluginContext(chain=chain, data_dir=nowhere, clock=lambda: 0.0, emit=lambda event: None)
    events: list[Event] = []
    async with offer.open(wanted, context) as engine, trio.open_nursery() as nursery:
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
        if blocks:
            assert await engine.set_heads(heads_of(blocks)) == Applied()
        view = EthView(
            engine=engine, queries=engine, pool=engine, traces=engine, chain=chain, emit=events.append, miner=True
        )
        http, sockets = await nursery.start(_serve, view)
        url, socket_url = f"http://{http[0]}:{http[1]}", f"ws://{sockets[0]}:{sockets[1]}"
        async with open_client(url, part="test") as client:
            yield World(
                engine=engine,
                chain=chain,
                blocks=blocks,
                client=client,
                url=url,
                socket_url=socket_url,
                events=events,
            )
        nursery.cancel_scope.cancel()


async def _serve(view: EthView, *, task_status: Any) -> None:
    await serve_eth(EthTable(port=Port(0), ws_port=Port(0)), view, period=0.01, task_status=task_status)


def on_world(
    body: Callable[[World], Awaitable[None]], name: str = "plain-jovian", count: int = 8, **settings: Any
) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with world_on(name, count, **settings) as world:
                await body(world)

    trio.run(main)
