"""A beacon API over a scripted L1, on loopback, that does wrong what a test tells it to.

node = BeaconNode(l1=l1)
url = await nursery.start(node.serve)
node.plant["blobs"] = lambda: Response.json({"data": []})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import attrs
import trio

from kroma_core.codec.transactions import BLOB, decode_transaction
from kroma_core.jsonrpc.server import HttpServer, Request, Response, Route, serve_http
from kroma_core.testing.proven_blobs import committed, proven
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32

Planted = Callable[[], Response | Awaitable[Response]]


@attrs.define(kw_only=True)
class BeaconNode:
    """Every block of `l1`, of whichever branch, is in the slot of its time; slot 0 is the first block's.

    `damage` replaces the content of blobs, `plant` whole answers by endpoint: "genesis", "spec", "syncing", "blobs",
    "blob_sidecars", "archive". Endpoints in `without` do not exist. `requests` has what was asked, in order.
    """

    l1: ScriptedL1
    slot_seconds: int = 12
    filters: bool = True
    """Whether `versioned_hashes` is looked at."""
    head_slot: int | None = None
    spec: dict[str, str] = attrs.field(factory=dict)
    """Settings told besides the length of a slot."""
    without: set[str] = attrs.field(factory=set)
    damage: dict[Hash32, bytes] = attrs.field(factory=dict)
    plant: dict[str, Planted] = attrs.field(factory=dict)
    requests: list[tuple[str, Mapping[str, list[str]]]] = attrs.field(factory=list)

    async def serve(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer on a free port of loopback until cancelled; `task_status` gets the URL."""
        routes = [
            self._route("/eth/v1/beacon/genesis", "genesis", self._genesis),
            self._route("/eth/v1/config/spec", "spec", self._spec),
            self._route("/eth/v1/node/syncing", "syncing", self._syncing),
            self._route("/eth/v1/beacon/blobs/{slot}", "blobs", self._blobs),
            self._route("/eth/v1/beacon/blob_sidecars/{slot}", "blob_sidecars", self._sidecars),
            self._route("/archive/{versioned_hash}", "archive", self._archived),
        ]
        async with trio.open_nursery() as nursery:
            server = HttpServer(table="beacon", routes=routes)
            host, port = await nursery.start(
                lambda task_status: serve_http(server, host="127.0.0.1", port=0, task_status=task_status)
            )
            task_status.started(f"http://{host}:{port}")

    def asked(self, endpoint: str) -> int:
        """How often an endpoint was asked."""
        return sum(f"/{endpoint}" in path for path, _ in self.requests)

    def content(self, versioned_hash: Hash32) -> bytes:
        return self.damage.get(versioned_hash, self.l1.blob_content(versioned_hash))

    def _route(self, path: str, endpoint: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
        async def answered(request: Request) -> Response:
            self.requests.append((request.path, request.query))
            if endpoint in self.without:
                return Response.json({"code": 404, "message": "no such endpoint"}, status=404)
            if (planted := self.plant.get(endpoint)) is not None:
                found = planted()
                return found if isinstance(found, Response) else await found
            return await answer(request)

        return Route("GET", path, answered)

    async def _genesis(self, request: Request) -> Response:
        return Response.json({"data": {"genesis_time": str(self.l1.genesis_time)}})

    async def _spec(self, request: Request) -> Response:
        return Response.json({"data": {"SECONDS_PER_SLOT": str(self.slot_seconds), **self.spec}})

    async def _syncing(self, request: Request) -> Response:
        head = self._slot_of(self.l1.tip.header.timestamp) if self.head_slot is None else self.head_slot
        return Response.json({"data": {"head_slot": str(head), "is_syncing": False}})

    async def _blobs(self, request: Request) -> Response:
        hashes = await self._hashes(request)
        if hashes is None:
            return _not_found()
        wanted = request.query.get("versioned_hashes")
        if wanted and self.filters:
            hashes = [one for one in hashes if f"0x{one.hex()}" in wanted]
        found = [f"0x{self.content(one).hex()}" for one in hashes if one in self.l1.blob_hashes]
        return Response.json({"execution_optimistic": False, "finalized": False, "data": found})

    async def _sidecars(self, request: Request) -> Response:
        hashes = await self._hashes(request)
        if hashes is None:
            return _not_found()
        return Response.json({"data": list(self._sidecars_of(hashes))})

    async def _archived(self, request: Request) -> Response:
        name = bytes.fromhex(request.named["versioned_hash"].removeprefix("0x"))
        if name not in self.l1.blob_hashes:
            return _not_found()
        commitment = committed(self.l1.blob_content(name))
        return Response.json({"commitment": f"0x{commitment.hex()}", "data": f"0x{self.content(name).hex()}"})

    def _sidecars_of(self, hashes: list[Hash32]) -> Iterator[dict[str, Any]]:
        for index, one in enumerate(hashes):
            commitment, proof = proven(self.l1.blob_content(one))
            yield {
                "index": str(index),
                "blob": f"0x{self.content(one).hex()}",
                "kzg_commitment": f"0x{commitment.hex()}",
                "kzg_proof": f"0x{proof.hex()}",
            }

    async def _hashes(self, request: Request) -> list[Hash32] | None:
        """The blob hashes of the block in the slot that is asked for."""
        slot = int(request.named["slot"])
        for block_hash in self.l1.block_hashes:
            block = await self.l1.block(block_hash)
            if self._slot_of(block.header.timestamp) == slot:
                return [
                    one for raw in block.transactions if raw[0] == BLOB for one in decode_transaction(raw).blob_hashes
                ]
        return None

    def _slot_of(self, time: int) -> int:
        return (time - self.l1.genesis_time) // self.slot_seconds


def _not_found() -> Response:
    return Response.json({"code": 404, "message": "NOT_FOUND: beacon block"}, status=404)
