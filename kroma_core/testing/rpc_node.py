"""A JSON-RPC server over a scripted L1, on loopback, that does wrong what a test tells it to.

    node = RpcNode(l1=l1)
    url = await nursery.start(node.serve)
    node.plant = lambda method, params: Status(429, headers={"retry-after": "1"})

HTTP is spoken on bare sockets, so that it can also be spoken badly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs
import orjson
import trio

from kroma_core.codec.headers import Header
from kroma_core.codec.receipts import Receipt
from kroma_core.errors import DecodeError
from kroma_core.l1 import L1Label
from kroma_core.testing.rpc_json import JsonObject, block_json, receipt_json, text
from kroma_core.testing.scripted_blocks import BlockContent
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32


@attrs.frozen
class Status:
    """Another HTTP status than 200."""

    code: int
    headers: dict[str, str] = attrs.field(factory=dict, kw_only=True)
    body: str = attrs.field(default="no", kw_only=True)


@attrs.frozen
class Hang:
    """Nothing, for ever."""


@attrs.frozen
class Cut:
    """Half the answer: a whole HTTP message whose JSON ends early, or (`connection`) a connection that breaks."""

    connection: bool = False


@attrs.frozen
class Body:
    """Any text as the answer to a request."""

    content: bytes


@attrs.frozen
class Error:
    """An error object."""

    code: int
    message: str = "no"


Fault: TypeAlias = Status | Hang | Cut | Body | Error
Planted: TypeAlias = Callable[[str, Sequence[Any]], Fault | None]
Changed: TypeAlias = Callable[[Any], Any]


def _nothing(method: str, params: Sequence[Any]) -> Fault | None:
    return None


@attrs.define(kw_only=True)
class RpcNode:
    """Shows `l1`, or what of it a test lets through.

    `plant` is asked before each call and may say what goes wrong; of a batch the first fault counts for all of it.
    `change` replaces results by method. `behind`: so many blocks the node's head lies below the L1's. `damage`: other
    content for blocks. `hidden`: blocks that the node does not have. `without`: methods that it does not have.
    `most_calls`: larger batches are refused as a whole.
    `calls` counts calls by method; `requests` the calls in each request.
    """

    l1: ScriptedL1
    chain_id: int | None = None
    behind: int = 0
    plant: Planted = _nothing
    change: dict[str, Changed] = attrs.field(factory=dict)
    damage: dict[Hash32, BlockContent] = attrs.field(factory=dict)
    hidden: set[Hash32] = attrs.field(factory=set)
    without: set[str] = attrs.field(factory=set)
    most_calls: int | None = None
    calls: dict[str, int] = attrs.field(factory=dict)
    requests: list[int] = attrs.field(factory=list)

    async def serve(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer over HTTP on a free port of loopback until cancelled; `task_status` gets the URL."""
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._connection, 0, host="127.0.0.1"))
            task_status.started(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")

    async def serve_websocket(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer over a WebSocket; tells its subscribers of every head."""
        from trio_websocket import WebSocketRequest, serve_websocket

        async def answer(request: WebSocketRequest) -> None:
            await self._pushing(await request.accept())

        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve_websocket, answer, "127.0.0.1", 0, None))
            task_status.started(f"ws://127.0.0.1:{server.port}")

    # --- the wire

    async def _connection(self, stream: trio.SocketStream) -> None:
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    more = await stream.receive_some()
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                size = next(
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                while len(received) < size:
                    received += await stream.receive_some()
                body, received = received[:size], received[size:]
                if not await self._answer(stream, orjson.loads(body)):
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _answer(self, stream: trio.SocketStream, asked: Any) -> bool:
        """Answer one request; False where the connection ends with it."""
        match self._fault(asked):
            case Status(code, headers=headers, body=body):
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                await stream.send_all(
                    f"HTTP/1.1 {code} No\r\n{lines}content-length: {len(body)}\r\n\r\n{body}".encode()
                )
            case Hang():
                await trio.sleep_forever()
            case Cut(connection=connection):
                whole = orjson.dumps(self._answers(asked))
                half = whole[: len(whole) // 2]
                size = len(whole) if connection else len(half)
                await stream.send_all(_head(size) + half)
                return not connection
            case Body(content):
                await stream.send_all(_head(len(content)) + content)
            case _:
                whole = orjson.dumps(self._answers(asked))
                await stream.send_all(_head(len(whole)) + whole)
        return True

    async def _pushing(self, socket: Any) -> None:
        from trio_websocket import ConnectionClosed

        async def push(name: str) -> None:
            async for _ in self.l1.subscribe():
                notice = {"subscription": name, "result": self._shown(self._head, full=False)}
                message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": notice}
                await socket.send_message(orjson.dumps(message).decode())

        try:
            async with trio.open_nursery() as nursery:
                while True:
                    asked = orjson.loads(await socket.get_message())
                    fault = self._fault(asked)
                    if isinstance(fault, Hang):
                        continue
                    if isinstance(fault, Cut | Status):
                        await socket.aclose()
                        return
                    await socket.send_message(orjson.dumps(self._answers(asked)).decode())
                    if isinstance(asked, dict) and asked["method"] == "eth_subscribe":
                        nursery.start_soon(push, "0x1")
        except* ConnectionClosed:
            pass

    def _fault(self, asked: Any) -> Fault | None:
        calls = asked if isinstance(asked, list) else [asked]
        self.requests.append(len(calls))
        faults = [fault for call in calls if (fault := self.plant(call["method"], call["params"])) is not None]
        return next((fault for fault in faults if not isinstance(fault, Error)), None)

    # --- the answers

    def _answers(self, asked: Any) -> Any:
        if self.most_calls is not None and isinstance(asked, list) and len(asked) > self.most_calls:
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch too large"}}
        return [self._one(call) for call in asked] if isinstance(asked, list) else self._one(asked)

    def _one(self, call: JsonObject) -> JsonObject:
        method, params = call["method"], call["params"]
        self.calls[method] = self.calls.get(method, 0) + 1
        answer: JsonObject = {"jsonrpc": "2.0", "id": call["id"]}
        fault = self.plant(method, params)
        if isinstance(fault, Error):
            return answer | {"error": {"code": fault.code, "message": fault.message}}
        found = _METHODS.get(method)
        if found is None or method in self.without:
            return answer | {"error": {"code": -32601, "message": f"the method {method} does not exist"}}
        result = found(self, *params)
        return answer | {"result": self.change.get(method, _same)(result)}

    @property
    def _head(self) -> Hash32:
        block_hash = self.l1.tip.hash
        for _ in range(self.behind):
            block_hash = Header.decode(self.l1.content(block_hash).header).parent_hash
        return block_hash

    def _chain(self) -> str:
        return hex(self.l1.chain_id if self.chain_id is None else self.chain_id)

    def _by_number(self, name: str, full: bool) -> JsonObject | None:
        if name == "latest":
            return self._shown(self._head, full)
        if name in ("safe", "finalized"):
            heads = self.l1.heads
            marked = heads.safe if name == L1Label.SAFE else heads.finalized
            return None if marked is None else self._shown(marked.hash, full)
        number = int(name, 16)
        block_hash = self._head
        header = Header.decode(self.l1.content(block_hash).header)
        if not self.l1.genesis.header.number <= number <= header.number:
            return None
        return self._shown(self.l1.canonical_hash(number), full)

    def _by_hash(self, name: str, full: bool) -> JsonObject | None:
        return self._shown(bytes.fromhex(name[2:]), full)

    def _shown(self, block_hash: Hash32, full: bool) -> JsonObject | None:
        content = self._content(block_hash)
        if content is None:
            return None
        return block_json(Header.decode(content.header), block_hash, content.transactions, full=full)

    def _receipts(self, name: str) -> list[JsonObject] | None:
        block_hash = bytes.fromhex(name[2:])
        content = self._content(block_hash)
        if content is None:
            return None
        number = Header.decode(content.header).number
        return [
            receipt_json(_decoded(raw), transaction, block_hash, number, place)
            for place, (raw, transaction) in enumerate(zip(content.receipts, content.transactions, strict=False))
        ]

    def _receipt(self, name: str) -> JsonObject | None:
        for block_hash in self.l1.block_hashes:
            for found in self._receipts(text(block_hash)) or ():
                if found["transactionHash"] == name:
                    return found
        return None

    def _raw_transaction(self, name: str, place: str) -> str | None:
        content = self._content(bytes.fromhex(name[2:]))
        return None if content is None else text(content.transactions[int(place, 16)])

    def _raw_receipts(self, name: str) -> list[str] | None:
        content = self._content(bytes.fromhex(name[2:]))
        return None if content is None else [text(raw) for raw in content.receipts]

    def _subscribed(self, topic: str) -> str:
        return "0x1"

    def _content(self, block_hash: Hash32) -> BlockContent | None:
        if block_hash not in self.l1.block_hashes or block_hash in self.hidden:
            return None
        return self.damage.get(block_hash, self.l1.content(block_hash))


_METHODS: dict[str, Callable[..., Any]] = {
    "eth_chainId": RpcNode._chain,
    "eth_getBlockByNumber": RpcNode._by_number,
    "eth_getBlockByHash": RpcNode._by_hash,
    "eth_getBlockReceipts": RpcNode._receipts,
    "eth_getTransactionReceipt": RpcNode._receipt,
    "eth_getRawTransactionByBlockHashAndIndex": RpcNode._raw_transaction,
    "debug_getRawReceipts": RpcNode._raw_receipts,
    "eth_subscribe": RpcNode._subscribed,
}


def _same(result: Any) -> Any:
    return result


def _head(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % size


def _decoded(raw: bytes) -> Receipt:
    """A receipt; one that was damaged beyond decoding as one that is merely wrong."""
    try:
        return Receipt.decode(raw)
    except DecodeError:
        return Receipt(type=2, status=0, cumulative_gas_used=1, bloom=bytes(256), logs=())
