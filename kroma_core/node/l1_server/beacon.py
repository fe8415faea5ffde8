"""The beacon side of a recorded L1: the endpoints with which clients find blobs.

A slot lasts a second, so that every block has one of its own whatever its L1's rhythm; slot 0 is the lowest block's.
Spec: beacon-APIs, "Beacon", "Config", "Node".
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import attrs
import trio

from kroma_core.chain.config import ChainConfig
from kroma_core.codec.hexadecimal import fixed, to_data
from kroma_core.codec.kzg import commitment_of, proof_of
from kroma_core.codec.transactions import BLOB, decode_transaction
from kroma_core.errors import DecodeError, NotFound
from kroma_core.jsonrpc.server import Request, Response, Route
from kroma_core.l1 import L1Label
from kroma_core.node.l1_server.blocks import RecordedBlocks
from kroma_core.node.l1_server.chain import RecordedChain
from kroma_core.node.l1_server.sidecars import BeaconHeader, CommitmentTree, SidecarBlob
from kroma_core.types import ZERO_HASH, Hash32

SLOT_SECONDS: Final = 1
KEPT: Final = 16
"""Blocks whose sidecars are remembered: computing commitment and proof of a blob takes a tenth of a second."""


@attrs.define(kw_only=True)
class BeaconApi:
    """Answers for a recorded chain. Blobs that were not recorded are left out, or not found where asked for by name."""

    chain: RecordedChain
    blocks: RecordedBlocks
    config: ChainConfig
    version: str
    _sidecars: OrderedDict[Hash32, tuple[SidecarBlob, ...]] = attrs.field(factory=OrderedDict)
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(2))

    def routes(self) -> Sequence[Route]:
        """All of them."""
        answers: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/eth/v1/node/version": self._version,
            "/eth/v1/node/health": self._health,
            "/eth/v1/node/syncing": self._syncing,
            "/eth/v1/beacon/genesis": self._genesis,
            "/eth/v1/config/spec": self._spec,
            "/eth/v1/beacon/headers/{block}": self._header,
            "/eth/v1/beacon/blobs/{block}": self._blobs,
            "/eth/v1/beacon/blob_sidecars/{block}": self._blob_sidecars,
        }
        return [Route("GET", path, _answering(answer)) for path, answer in answers.items()]

    # --- the node and its chain

    async def _version(self, request: Request) -> Response:
        return Response.json({"data": {"version": self.version}})

    async def _health(self, request: Request) -> Response:
        return Response()

    async def _syncing(self, request: Request) -> Response:
        head = str(self._slot(self.chain.heads.unsafe.hash))
        state = {"head_slot": head, "sync_distance": "0", "is_syncing": False, "is_optimistic": False}
        return Response.json({"data": {**state, "el_offline": False}})

    async def _genesis(self, request: Request) -> Response:
        return Response.json(
            {
                "data": {
                    "genesis_time": str(self._genesis_time),
                    "genesis_validators_root": to_data(ZERO_HASH),
                    "genesis_fork_version": "0x00000000",
                }
            }
        )

    async def _spec(self, request: Request) -> Response:
        chain_id = str(self.config.rollup.l1_chain_id)
        return Response.json(
            {
                "data": {
                    "CONFIG_NAME": "recording",
                    "SECONDS_PER_SLOT": str(SLOT_SECONDS),
                    "SLOT_DURATION_MS": str(1000 * SLOT_SECONDS),
                    "SLOTS_PER_EPOCH": "32",
                    "DEPOSIT_CHAIN_ID": chain_id,
                    "DEPOSIT_NETWORK_ID": chain_id,
                }
            }
        )

    async def _header(self, request: Request) -> Response:
        block_hash = self._named(request.named["block"])
        header = await self._beacon_header(block_hash)
        found = {"root": to_data(header.root), "canonical": True, "header": _signed(header)}
        return Response.json({**self._state(block_hash), "data": found})

    # --- blobs

    async def _blobs(self, request: Request) -> Response:
        block_hash = self._named(request.named["block"])
        names = self._blob_hashes(block_hash)
        wanted = [fixed(one, 32, "versioned_hashes") for one in _listed(request, "versioned_hashes")]
        # A block may have the same blob twice. op-node counts: it wants as many as it names.
        left = Counter(wanted)
        found: list[str] = []
        for name in names:
            if wanted and not left[name]:
                continue
            left[name] -= 1
            blob = await self._blob(name)
            if blob is not None:
                found.append(to_data(blob))
            elif wanted:
                raise NotFound(f"blob {to_data(name)} was not recorded")
        return Response.json({**self._state(block_hash), "data": found})

    async def _blob_sidecars(self, request: Request) -> Response:
        block_hash = self._named(request.named["block"])
        names = self._blob_hashes(block_hash)
        indices = [_decimal(one) for one in _listed(request, "indices")]
        sidecars = await self._sidecars_of(block_hash)
        there = {one.index for one in sidecars}
        for index in indices:
            if index < len(names) and index not in there:
                raise NotFound(f"blob {to_data(names[index])} was not recorded")
        tree, header = _tree(sidecars, len(names)), await self._beacon_header(block_hash)
        found = [
            {
                "index": str(one.index),
                "blob": to_data(one.blob),
                "kzg_commitment": to_data(one.commitment),
                "kzg_proof": to_data(one.proof),
                "signed_block_header": _signed(header),
                "kzg_commitment_inclusion_proof": [to_data(node) for node in tree.proof(one.index)],
            }
            for one in sidecars
            if not indices or one.index in indices
        ]
        return Response.json({**self._state(block_hash), "version": "deneb", "data": found})

    async def _blob(self, name: Hash32) -> bytes | None:
        """A recorded blob, checked."""
        return await trio.to_thread.run_sync(self.chain.reader.blob, name, limiter=self._limiter)

    async def _sidecars_of(self, block_hash: Hash32) -> tuple[SidecarBlob, ...]:
        found = self._sidecars.get(block_hash)
        if found is None:
            names = self._blob_hashes(block_hash)
            found = await trio.to_thread.run_sync(self._proven, names, limiter=self._limiter)
            self._sidecars[block_hash] = found
            if len(self._sidecars) > KEPT:
                self._sidecars.popitem(last=False)
        return found

    def _proven(self, names: Sequence[Hash32]) -> tuple[SidecarBlob, ...]:
        """The recorded ones of a block's blobs with commitment and proof. Runs in a thread."""
        found: list[SidecarBlob] = []
        for index, name in enumerate(names):
            stored = self.chain.reader.stored_blob(name)
            if stored is not None:
                blob, commitment, proof = stored.data, stored.commitment, stored.proof
                if commitment is None or proof is None:
                    commitment = commitment_of(blob)
                    proof = proof_of(blob, commitment)
                found.append(SidecarBlob(index=index, blob=blob, commitment=commitment, proof=proof))
        return tuple(found)

    def _blob_hashes(self, block_hash: Hash32) -> list[Hash32]:
        transactions = [one.raw for one in self.blocks.block(block_hash).transactions if one.type == BLOB]
        return [name for raw in transactions for name in decode_transaction(raw).blob_hashes]

    # --- names of blocks

    async def _beacon_header(self, block_hash: Hash32) -> BeaconHeader:
        header = self.chain.reader.header(block_hash)
        sidecars = await self._sidecars_of(block_hash)
        tree = _tree(sidecars, len(self._blob_hashes(block_hash)))
        parent = header.parent_beacon_root or ZERO_HASH
        return BeaconHeader(slot=self._slot(block_hash), parent_root=parent, body_root=tree.body_root)

    def _named(self, name: str) -> Hash32:
        """The L1 block of a slot or a label. Raises `NotFound` for a slot without one."""
        if name == "genesis":
            name = "0"
        if name in ("head", "finalized", "justified"):
            label = {"head": L1Label.UNSAFE, "justified": L1Label.SAFE, "finalized": L1Label.FINALIZED}[name]
            return self.chain.head(label).hash
        if name.startswith("0x"):
            raise NotFound("blocks are not found by root here: the beacon chain was not recorded")
        found = self.chain.at_time(self._genesis_time + _decimal(name) * SLOT_SECONDS)
        if found is None:
            raise NotFound(f"no block in slot {name}")
        return found

    @property
    def _genesis_time(self) -> int:
        first = self.chain.numbered(self.chain.first)
        if first is None:
            raise NotFound("the recording's lowest block is not on the branch of its head")
        return self.chain.reader.header(first).timestamp

    def _slot(self, block_hash: Hash32) -> int:
        return (self.chain.reader.header(block_hash).timestamp - self._genesis_time) // SLOT_SECONDS

    def _state(self, block_hash: Hash32) -> dict[str, Any]:
        final = self.chain.heads.finalized
        number = self.chain.reader.header(block_hash).number
        return {"execution_optimistic": False, "finalized": final is not None and number <= final.number}


def _answering(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Errors as the beacon API has them: an object with code and message."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except NotFound as error:
            return Response.json({"code": 404, "message": str(error)}, status=404)
        except DecodeError as error:
            return Response.json({"code": 400, "message": str(error)}, status=400)

    return answered


def _tree(sidecars: Sequence[SidecarBlob], count: int) -> CommitmentTree:
    known = {one.index: one.commitment for one in sidecars}
    return CommitmentTree(commitments=tuple(known.get(index) for index in range(count)))


def _signed(header: BeaconHeader) -> dict[str, Any]:
    message = {
        "slot": str(header.slot),
        "proposer_index": "0",
        "parent_root": to_data(header.parent_root),
        "state_root": to_data(ZERO_HASH),
        "body_root": to_data(header.body_root),
    }
    return {"message": message, "signature": to_data(bytes(96))}


def _listed(request: Request, key: str) -> list[str]:
    """A query field that may come several times, or once with commas."""
    return [one for value in request.query.get(key, ()) for one in value.split(",") if one]


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise DecodeError(f"expected a decimal number, got {text[:40]!r}")
    return int(text)
