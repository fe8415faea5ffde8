"""The other side of the wire: a server that answers as it is told, from what a real op-geth answered once."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import outcome
import trio
from kroma_engine_rpc.engine import RpcEngine
from kroma_engine_rpc.offers import EngineSettings, open_engine

from kroma_core.api import Clock, PluginContext
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.hexadecimal import to_quantity
from kroma_core.codec.payloads import envelope_to_json
from kroma_core.events import Event
from kroma_core.jsonrpc.errors import RpcError
from kroma_core.jsonrpc.jwt import JwtSecret, TokenRefused
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import HttpServer, serve_http
from kroma_core.l2 import ForkchoiceState, Payload, PayloadAttributes
from kroma_core.recording import ExpectedBlock, open_recording

DATA = Path(__file__).parent / "data"
VECTORS = Path(__file__).parents[3] / "tests" / "vectors" / "data" / "op-chains"
SECRET = bytes(range(32)).hex()
PAYLOAD_ID = "0x0304050607080900"
METHODS = [
    f"engine_{name}V{version}" for name in ("newPayload", "forkchoiceUpdated", "getPayload") for version in range(1, 6)
]
VALID = {"status": "VALID", "latestValidHash": None, "validationError": None}


@functools.cache
def op_geth() -> Any:
    """What a real op-geth answered; `origin` in it says how it was asked."""
    return json.loads((DATA / "op_geth.json").read_text())


@functools.cache
def recorded(name: str) -> tuple[ChainConfig, Mapping[int, ExpectedBlock]]:
    """A chain, and its recorded blocks by number."""
    with open_recording(VECTORS / f"{name}.json.xz") as recording:
        assert recording.expected is not None
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=str(recording.path)
        )
        return chain, {block.number: block for block in recording.expected.blocks()}


Answer = Callable[..., Awaitable[Any]]


class EngineSide:
    """An engine with the recorded chain's first blocks. `answers` replaces what it says to a method: a value, an
    `RpcError`, or a coroutine function. `calls` are the methods that were asked, with their parameters."""

    def __init__(self, name: str = "plain-isthmus") -> None:
        self.chain, self.recorded = recorded(name)
        self.blocks: list[Any] = list(op_geth()[name]["blocks"])
        self.receipts: list[Any] = list(op_geth()[name]["receipts"])
        self.secret = SECRET
        self.clock = time.time
        self.calls: list[tuple[str, list[Any]]] = []
        self.answers: dict[str, Any] = {
            "eth_chainId": to_quantity(self.chain.rollup.l2_chain_id),
            "eth_getBlockByNumber": self._by_number,
            "eth_getBlockByHash": self._by_hash,
            "eth_getBlockReceipts": self._receipts,
            "engine_exchangeCapabilities": METHODS,
        }
        self.answers |= {name: {"payloadStatus": VALID, "payloadId": PAYLOAD_ID} for name in METHODS}
        self.answers |= {name: VALID for name in METHODS if "newPayload" in name}

    @property
    def genesis(self) -> bytes:
        return self.chain.rollup.genesis.l2.hash

    def attributes(self, number: int = 1) -> PayloadAttributes:
        return self.recorded[number].attributes

    def payload(self, number: int = 1) -> Payload:
        return self.recorded[number].payload

    def at_genesis(self) -> ForkchoiceState:
        return ForkchoiceState(unsafe=self.genesis, safe=self.genesis, finalized=self.genesis)

    def asked(self, prefix: str) -> list[tuple[str, list[Any]]]:
        return [(method, params) for method, params in self.calls if method.startswith(prefix)]

    async def _by_number(self, name: str, full: bool) -> Any:
        number = {"latest": len(self.blocks) - 1, "safe": None, "finalized": None}.get(name, name)
        if number is None:
            raise RpcError(-32000, f"{name} block not found")
        if isinstance(number, int):
            return self.blocks[number]
        return next((block for block in self.blocks if block["number"] == number), None)

    async def _by_hash(self, name: str, full: bool) -> Any:
        return next((block for block in self.blocks if block["hash"] == name), None)

    async def _receipts(self, name: str) -> Any:
        return next(
            (found for block, found in zip(self.blocks, self.receipts, strict=True) if block["hash"] == name), None
        )

    async def _answer(self, method: str, params: list[Any]) -> Any:
        self.calls.append((method, params))
        answer = self.answers[method]
        if isinstance(answer, RpcError):
            raise answer
        return await answer(*params) if callable(answer) else answer

    def _authorise(self, headers: Mapping[str, str]) -> str | None:
        try:
            JwtSecret.from_text(self.secret, "the engine's").check(headers.get("authorization"), self.clock())
        except TokenRefused as refused:
            return str(refused)
        return None

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """The port on which it answers."""
        methods = Methods()
        for name in self.answers:
            methods.add(name, self._handler(name))
        server = HttpServer(table="engine", methods=methods, authorise=self._authorise)
        async with trio.open_nursery() as nursery:
            serve = functools.partial(serve_http, server, host="127.0.0.1", port=port)
            _, bound = await nursery.start(serve)
            yield bound
            nursery.cancel_scope.cancel()

    def _handler(self, name: str) -> Answer:
        async def handler(*params: Any) -> Any:
            return await self._answer(name, list(params))

        return handler


@asynccontextmanager
async def connected(
    side: EngineSide,
    port: int,
    folder: Path,
    *,
    events: list[Event] | None = None,
    clock: Clock = time.time,
    **settings: Any,
) -> AsyncIterator[RpcEngine]:
    """The engine part, told of a server on `port`."""
    secret = folder / "jwt.txt"
    if not secret.exists():
        secret.write_text(SECRET)
    context = PluginContext(
        chain=side.chain,
        data_dir=folder,
        clock=clock,
        emit=lambda event: None if events is None else events.append(event),
    )
    chosen = EngineSettings(**{"url": f"http://127.0.0.1:{port}", "jwt_secret": secret, **settings})
    async with open_engine(chosen, context) as engine:
        assert isinstance(engine, RpcEngine)
        yield engine


def run(side: EngineSide, body: Callable[[RpcEngine], Awaitable[None]], folder: Path, **settings: Any) -> None:
    """Run `body` with the engine part, connected to `side`."""

    async def main() -> outcome.Maybe[None]:
        with trio.fail_after(30):
            async with side.serving() as port:
                return await outcome.acapture(use, port)

    async def use(port: int) -> None:
        async with connected(side, port, folder, **settings) as engine:
            await body(engine)

    trio.run(main).unwrap()


def envelope(payload: Payload) -> dict[str, Any]:
    """A sealed block as `engine_getPayload` answers it."""
    return {**envelope_to_json(payload), "blockValue": "0x0", "shouldOverrideBuilder": False}
