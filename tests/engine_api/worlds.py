"""A recorded chain, the embedded engine at its genesis, and the Engine API on it, asked over a socket."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import ExecutionEngine, PluginContext, Port, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.payloads import attributes_to_json, block_hash_of, payload_to_json
from kroma_core.events import Event
from kroma_core.forks import Rules
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.jsonrpc.jwt import JwtSecret
from kroma_core.jsonrpc.server import Address
from kroma_core.l2 import Payload
from kroma_core.node.authrpc.serve import serve_authrpc
from kroma_core.node.profile import AuthRpcTable
from kroma_core.node.registry import discover
from kroma_core.node.settings import SettingsReader
from kroma_core.node.view import EngineView
from kroma_core.recording import ExpectedBlock, open_recording
from tests.vectors.unit_files import OWN_VECTORS

ZERO = "0x" + bytes(32).hex()
Json = dict[str, Any]


@functools.cache
def recorded(name: str) -> tuple[ChainConfig, tuple[ExpectedBlock, ...]]:
    """The chain of a vector, and its blocks from 1 on."""
    with open_recording(OWN_VECTORS / "op-chains" / f"{name}.json.xz") as recording:
        assert recording.expected is not None
        chain = chain_from_json(recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=name)
        return chain, tuple(recording.expected.blocks())


@attrs.frozen(kw_only=True)
class World:
    """What a test sees: the client's side, and the chain that it is to arrive at."""

    client: Client
    engine: ExecutionEngine
    chain: ChainConfig
    blocks: tuple[ExpectedBlock, ...]
    address: Address
    secret: JwtSecret
    events: list[Event]

    @property
    def genesis(self) -> str:
        return "0x" + self.chain.rollup.genesis.l2.hash.hex()

    def rules(self, number: int) -> Rules:
        return self.chain.rollup.schedule.at(self.blocks[number - 1].payload.timestamp)

    def hash(self, number: int) -> str:
        """The recorded hash of a block; 0 is genesis."""
        return "0x" + self.blocks[number - 1].hash.hex() if number else self.genesis

    def payload(self, number: int) -> Json:
        return payload_to_json(self.blocks[number - 1].payload)

    def attributes(self, number: int, **changes: Any) -> Json:
        """The attributes of a recorded block; a change to None takes the field away."""
        found = attributes_to_json(self.blocks[number - 1].attributes) | changes
        return {name: value for name, value in found.items() if value is not None}

    async def new_payload(self, number: int) -> Json:
        """A recorded block, in the call that its time demands."""
        rules = self.rules(number)
        more: list[Any] = []
        if rules.payload_version >= 3:
            root = self.blocks[number - 1].payload.parent_beacon_root
            assert root is not None
            more = [[], "0x" + root.hex()]
        if rules.payload_version >= 4:
            more.append([])
        return await self.call(f"engine_newPayloadV{rules.payload_version}", self.payload(number), *more)

    async def forkchoice(
        self, head: str, safe: str = ZERO, finalized: str = ZERO, attributes: Json | None = None, version: int = 3
    ) -> Json:
        state = {"headBlockHash": head, "safeBlockHash": safe, "finalizedBlockHash": finalized}
        return await self.call(f"engine_forkchoiceUpdatedV{version}", state, attributes)

    async def advance(self, last: int) -> None:
        """Bring the recorded blocks up to `last` and make it the head."""
        for number in range(1, last + 1):
            assert (await self.new_payload(number))["status"] == "VALID"
        await self.forkchoice(self.hash(last))

    async def begin(self, number: int, **changes: Any) -> Json:
        """Ask for a block with the attributes of a recorded one, on its recorded parent."""
        version = self.rules(number).forkchoice_version
        return await self.forkchoice(
            self.hash(number - 1), attributes=self.attributes(number, **changes), version=version
        )

    async def call(self, method: str, *params: Any) -> Json:
        result: Json = await self.client.call(method, *params)
        return result

    async def error(self, method: str, *params: Any) -> int:
        """The code of the error object that a call is answered with."""
        try:
            result = await self.client.call(method, *params)
        except RpcError as error:
            return error.code
        raise AssertionError(f"{method} answered {result}")

    async def head(self) -> int:
        return (await self.engine.block((await self.engine.heads()).unsafe)).number


@asynccontextmanager
async def opened_engine(chain: ChainConfig, folder: Path) -> AsyncIterator[ExecutionEngine]:
    found = discover().find(Role.ENGINE, "pyevm")
    assert found is not None
    config: Any = found.offer.config
    memory = SettingsReader(base=folder, environment={}).read({"store": "memory"}, config, "[engine]", [])
    context = PluginContext(chain=chain, data_dir=folder, clock=time.time, emit=lambda event: None)
    async with found.offer.open(memory, context) as engine:
        yield engine


def view_of(
    engine: ExecutionEngine, chain: ChainConfig, folder: Path, emit: Callable[[Event], None] = lambda event: None
) -> EngineView:
    return EngineView(
        name="test",
        chain=chain,
        data_dir=folder,
        engine=engine,
        clock=time.time,
        emit=emit,
        set_log_level=lambda level: None,
    )


def run(name: str, folder: Path, body: Callable[[World], Awaitable[None]]) -> None:
    """Run `body` on a world of its own."""
    chain, blocks = recorded(name)
    secret = JwtSecret.read_or_make(folder / "jwt.txt")
    events: list[Event] = []

    def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret.token(time.time())}"}

    async def main() -> None:
        table = AuthRpcTable(port=Port(0), jwt_secret=folder / "jwt.txt")
        with trio.fail_after(120):
            async with opened_engine(chain, folder) as engine, trio.open_nursery() as nursery:
                view = view_of(engine, chain, folder, events.append)
                address = await nursery.start(serve_authrpc, table, view)
                url = f"http://{address[0]}:{address[1]}"
                async with open_client(url, part="test", headers=headers, timeout=60) as client:
                    await body(
                        World(
                            client=client,
                            engine=engine,
                            chain=chain,
                            blocks=blocks,
                            address=address,
                            secret=secret,
                            events=events,
                        )
                    )
                nursery.cancel_scope.cancel()

    trio.run(main)


def mined(payload: Payload, **changes: Any) -> Json:
    """A payload with other fields under the hash that they give."""
    changed = attrs.evolve(payload, **changes)
    return payload_to_json(attrs.evolve(changed, hash=block_hash_of(changed)))
