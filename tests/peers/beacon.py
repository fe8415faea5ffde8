"""A beacon API for an execution client alone: remembers the blobs of the transactions that pass through it.

Blob transactions are sent to its `url`, as to the execution client behind it; everything else is passed on too. The
same URL answers the beacon API: one slot a second, so that each block has a slot of its own. It stores what clients
sent and computes versioned hashes alone: nothing of the code under test is in it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import httpx
import rlp
import trio

from tests.peers.rpc import Rpc, RpcFailed

BLOB_TRANSACTION = 3


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

    async def get(self, target: str) -> tuple[int, bytes]:
        """Status and body of the answer to a request of the beacon API."""
        self.asked.append(target)
        parts = urlsplit(target)
        try:
            data = await self._data(parts.path, parse_qs(parts.query))
        except RpcFailed as error:
            return 503, json.dumps({"code": 503, "message": str(error)}).encode()
        if data is None:
            return 404, b'{"code":404,"message":"not found"}'
        return 200, json.dumps({"data": data}).encode()

    async def post(self, client: httpx.AsyncClient, body: bytes) -> tuple[int, bytes]:
        """What the execution client answers to a JSON-RPC request; blobs that pass are kept."""
        requests = json.loads(body)
        for request in requests if isinstance(requests, list) else [requests]:
            if request.get("method") == "eth_sendRawTransaction":
                self.remember(bytes.fromhex(request["params"][0].removeprefix("0x")))
        answer = await client.post(self.l1.url, content=body, headers={"content-type": "application/json"})
        return answer.status_code, answer.content

    async def _data(self, path: str, query: Mapping[str, list[str]]) -> Any:
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
    loop = trio.lowlevel.current_trio_token()
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        api = BeaconApi(f"http://127.0.0.1:{server.server_port}", l1)

        class Handler(BaseHTTPRequestHandler):
            """Each request in a thread of the server's; what it answers is made on the loop."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(api.get, self.path)

            def do_POST(self) -> None:
                self._answer(api.post, client, self.rfile.read(int(self.headers["content-length"])))

            def _answer(self, make: Callable[..., Awaitable[tuple[int, bytes]]], *arguments: Any) -> None:
                try:
                    status, body = trio.from_thread.run(make, *arguments, trio_token=loop)
                except (trio.RunFinishedError, trio.Cancelled):
                    return  # the test is over
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        server.RequestHandlerClass = Handler
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            server.socket.close()
