"""A beacon API for an execution client alone: remembers the blobs of the transactions that pass through it.

Blob transactions are sent to its `url`, as to the execution client behind it; everything else is passed on too. The
same URL answers the beacon API: one slot a second, so that each block has a slot of its own. It stores what clients
sent and computes versioned hashes alone: nothing of the code under test is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import attrs
import httpx
import hypercorn.trio
import rlp
import trio
from hypercorn.config import Config

from tests.peers.programs import free_port
from tests.peers.rpc import Rpc, RpcFailed, until

BLOB_TRANSACTION = 3
_JSON = [(b"content-type", b"application/json")]


@attrs.frozen
class Sidecar:
    """A blob as its transaction carried it."""

    blob: bytes
    commitment: bytes
    proof: bytes

    @property
    def versioned_hash(self) -> str:
        return "0x01" + hashlib.sha256(self.commitment).hexdigest()[2:]


@attrs.define
class BeaconApi:
    """The answers, and the faults that a test may ask for.

    `without`: endpoints that answer 404, by the word in their path. `expired`: blobs are forgotten, and lists empty.
    """

    url: str
    l1: Rpc
    without: frozenset[str] = frozenset()
    expired: bool = False
    asked: list[str] = attrs.field(factory=list)
    """Paths and queries, in order."""
    sidecars: dict[str, Sidecar] = attrs.field(factory=dict)
    """By versioned hash."""
    _blocks: dict[int, tuple[str, ...]] = attrs.field(factory=dict)
    """Versioned hashes of the blobs in a block, by its time."""
    _next: int = 0

    async def answer(self, path: str, query: Mapping[str, list[str]]) -> Any:
        """The `data` of an answer; None where there is none."""
        match path.strip("/").split("/"):
            case ["eth", "v1", "node", "version"]:
                return {"version": "tests/peers"}
            case ["eth", "v1", "config", "spec"]:
                return {"SECONDS_PER_SLOT": "1", "DEPOSIT_CHAIN_ID": str(int(await self.l1.call("eth_chainId"), 16))}
            case ["eth", "v1", "beacon", "genesis"]:
                return {"genesis_time": str(await self._genesis_time())}
            case ["eth", "v1", "beacon", kind, slot] if kind not in self.without:
                return await self._blobs(kind, int(slot), query)
        return None

    def remember(self, raw: bytes) -> None:
        """Keep the blobs of a transaction in its network form; other transactions carry none."""
        if raw[0] != BLOB_TRANSACTION:
            return
        _, *parts = rlp.decode(raw[1:])
        blobs, commitments, proofs = parts[-3:]
        each = len(proofs) // len(blobs)
        for index, (blob, commitment) in enumerate(zip(blobs, commitments, strict=True)):
            sidecar = Sidecar(blob, commitment, proofs[index * each])
            self.sidecars[sidecar.versioned_hash] = sidecar

    async def _blobs(self, kind: str, slot: int, query: Mapping[str, list[str]]) -> Any:
        await self._catch_up()
        hashes = self._blocks.get(await self._genesis_time() + slot)
        if hashes is None:
            return None
        found = [] if self.expired else [(index, self.sidecars[one]) for index, one in enumerate(hashes)]
        if kind == "blobs":
            wanted = [one for item in query.get("versioned_hashes", []) for one in item.split(",")]
            return ["0x" + one.blob.hex() for _, one in found if not wanted or one.versioned_hash in wanted]
        indices = [int(one) for item in query.get("indices", []) for one in item.split(",")]
        return [_sidecar_json(index, slot, one) for index, one in found if not indices or index in indices]

    async def _genesis_time(self) -> int:
        return int((await self.l1.block(0))["timestamp"], 16)

    async def _catch_up(self) -> None:
        """Read the blocks that came since; an L1 here does not reorganise."""
        for number in range(self._next, await self.l1.number() + 1):
            block = await self.l1.block(number, transactions=True)
            hashes = tuple(one for tx in block["transactions"] for one in tx.get("blobVersionedHashes", ()))
            self._blocks[int(block["timestamp"], 16)] = hashes
            self._next = number + 1


def _sidecar_json(index: int, slot: int, sidecar: Sidecar) -> dict[str, Any]:
    zero = "0x" + 32 * "00"
    header = {"slot": str(slot), "proposer_index": "0", "parent_root": zero, "state_root": zero, "body_root": zero}
    return {
        "index": str(index),
        "blob": "0x" + sidecar.blob.hex(),
        "kzg_commitment": "0x" + sidecar.commitment.hex(),
        "kzg_proof": "0x" + sidecar.proof.hex(),
        "signed_block_header": {"message": header, "signature": "0x" + 96 * "00"},
        "kzg_commitment_inclusion_proof": [zero] * 17,
    }


@asynccontextmanager
async def beacon_api(l1: Rpc) -> AsyncIterator[BeaconApi]:
    """A beacon API of the L1 behind `l1`, that also takes its transactions."""
    port = free_port()
    api = BeaconApi(f"http://127.0.0.1:{port}", l1)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    async with trio.open_nursery() as nursery, httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def app(
            scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
        ) -> None:
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await trio.sleep_forever()
            status, body = await _respond(api, client, scope, receive)
            await send({"type": "http.response.start", "status": status, "headers": _JSON})
            await send({"type": "http.response.body", "body": body})

        nursery.start_soon(hypercorn.trio.serve, app, config)
        await until(lambda: Rpc(api.url).answers(), bool, seconds=10, what="the beacon API's start")
        yield api
        nursery.cancel_scope.cancel()


async def _respond(
    api: BeaconApi, client: httpx.AsyncClient, scope: Any, receive: Callable[[], Awaitable[Any]]
) -> tuple[int, bytes]:
    if scope["method"] == "GET":
        query = scope["query_string"].decode()
        api.asked.append(f"{scope['path']}?{query}" if query else scope["path"])
        try:
            data = await api.answer(scope["path"], parse_qs(query))
        except RpcFailed as error:
            return 503, json.dumps({"code": 503, "message": str(error)}).encode()
        if data is None:
            return 404, b'{"code":404,"message":"not found"}'
        return 200, json.dumps({"data": data}).encode()
    body = b""
    more = True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
    requests = json.loads(body)
    for request in requests if isinstance(requests, list) else [requests]:
        if request.get("method") == "eth_sendRawTransaction":
            api.remember(bytes.fromhex(request["params"][0].removeprefix("0x")))
    answer = await client.post(api.l1.url, content=body, headers={"content-type": "application/json"})
    return answer.status_code, answer.content
