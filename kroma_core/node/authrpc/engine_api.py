"""`engine_newPayload`, `engine_forkchoiceUpdated`, `engine_getPayload` on any engine, as op-geth answers them.

Spec: execution-apis, "engine"; exec-engine.md, "Engine API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from kroma_core.api import Applied, Building, ExecutionEngine, Inconsistent, Invalid, Sealed, Syncing
from kroma_core.chain.base_fee import decode_eip1559_params, decode_extra_data
from kroma_core.chain.config import RollupConfig
from kroma_core.codec.attributes import EngineAttributes
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.codec.payloads import header_of_call, payload_to_json
from kroma_core.codec.transactions import BLOB, decode_transaction
from kroma_core.errors import DecodeError, NotFound
from kroma_core.forks import ExtraDataFormat, Rules
from kroma_core.jsonrpc.errors import Code
from kroma_core.jsonrpc.methods import Methods
from kroma_core.l2 import ForkchoiceState, Payload, PayloadAttributes
from kroma_core.node.authrpc import arguments, versions
from kroma_core.node.authrpc.arguments import ForkchoiceRequest, PayloadCall, UnfitPayload
from kroma_core.node.authrpc.buildings import Buildings
from kroma_core.node.authrpc.rejected import Rejected, RejectedBlocks
from kroma_core.node.authrpc.versions import refusal
from kroma_core.node.authrpc.writes import Writes
from kroma_core.types import ZERO_HASH, Hash32, L2Number

Json = dict[str, Any]
_NONE_NAMED: Final = ZERO_HASH
_LINKED: Final = "the block stands on one that was rejected before"


class EngineApi:
    """The writing half of the Engine API. Calls wait for each other in `writes`, the engine's one writer."""

    def __init__(self, engine: ExecutionEngine, config: RollupConfig, writes: Writes) -> None:
        self._engine = engine
        self._config = config
        self._writes = writes
        self._rejected = RejectedBlocks()
        self._buildings = Buildings(engine)

    def add_to(self, methods: Methods) -> None:
        methods.add("engine_newPayloadV1", self._new_payload_v1)
        methods.add("engine_newPayloadV2", self._new_payload_v2)
        methods.add("engine_newPayloadV3", self._new_payload_v3)
        methods.add("engine_newPayloadV4", self._new_payload_v4)
        for version in (1, 2, 3):
            methods.add(f"engine_forkchoiceUpdatedV{version}", self._forkchoice_updated(version))
        for version in (1, 2, 3, 4, 5):
            methods.add(f"engine_getPayloadV{version}", self._get_payload(version))

    # --- newPayload

    async def _new_payload_v1(self, payload: Any) -> Json:
        return await self._new_payload(1, payload)

    async def _new_payload_v2(self, payload: Any) -> Json:
        return await self._new_payload(2, payload)

    async def _new_payload_v3(self, payload: Any, hashes: Any, root: Any = None) -> Json:
        return await self._new_payload(3, payload, hashes, root)

    async def _new_payload_v4(self, payload: Any, hashes: Any, root: Any, requests: Any) -> Json:
        return await self._new_payload(4, payload, hashes, root, requests)

    async def _new_payload(self, version: int, *params: Any) -> Json:
        try:
            call = arguments.payload_call(*params)
        except UnfitPayload as error:
            return status("INVALID", reason=str(error))
        rules = self._config.schedule.at(call.payload.timestamp)
        versions.check_payload(version, call, rules)
        reason = self._unfit(call, rules)
        if reason is not None:
            return status("INVALID", reason=reason)
        return await self._writes.do(lambda: self._execute(call.payload))

    def _unfit(self, call: PayloadCall, rules: Rules) -> str | None:
        """Why the payload cannot be a block, whatever its parent: its form, or its hash."""
        payload = call.payload
        if payload.withdrawal_list and rules.withdrawals:
            return f"withdrawals: expected none, got {len(payload.withdrawal_list)}"
        if (payload.withdrawals_root is not None) != rules.withdrawals_root_is_storage_root:
            return f"withdrawalsRoot: {'missing' if payload.withdrawals_root is None else 'not expected'}"
        try:
            self._check_extra_data(payload, rules)
            header = header_of_call(payload, call.requests, rules)
            hashes = [
                one for raw in payload.transactions if raw[0] == BLOB for one in decode_transaction(raw).blob_hashes
            ]
        except DecodeError as error:
            return str(error)
        if hashes != list(call.versioned_hashes or ()):
            return f"versioned hashes: the payload has {len(hashes)}, the call other ones"
        if header.hash != payload.hash:
            return f"the payload's fields hash to 0x{header.hash.hex()}, not to 0x{payload.hash.hex()}"
        return None

    def _check_extra_data(self, payload: Payload, rules: Rules) -> None:
        if rules.extra_data is not ExtraDataFormat.EMPTY:
            decode_extra_data(payload.extra_data, rules)
        elif payload.extra_data != self._config.schedule.first_block_extra_data(payload.timestamp):
            raise DecodeError(f"extraData: expected none, got {len(payload.extra_data)} bytes")

    async def _execute(self, payload: Payload) -> Json:
        bad = self._rejected.lead_to(payload.hash)
        if bad is not None:
            return _linked(bad)
        match await self._engine.execute(payload):
            case Invalid(reason=reason, latest_valid=latest):
                self._rejected.add(payload.hash, payload.parent_hash)
                return status("INVALID", latest=latest, reason=reason)
            case Syncing():
                bad = self._rejected.lead_to(payload.parent_hash, child=payload.hash)
                return status("SYNCING") if bad is None else _linked(bad)
            case _:
                return status("VALID", latest=payload.hash)

    # --- forkchoiceUpdated

    def _forkchoice_updated(self, version: int) -> Any:
        async def forkchoice_updated(state: Any, attributes: Any = None) -> Json:
            request = arguments.forkchoice_request(state)
            asked = None if attributes is None else arguments.engine_attributes(attributes)
            if asked is not None:
                versions.check_attributes(version, asked, self._config.schedule.at(asked.timestamp))
            if request.head == _NONE_NAMED:
                return answer(status("INVALID"))
            if asked is None:
                return await self._writes.do(lambda: self._follow(request, None))
            wanted = self._for_rollup(asked)
            payload_id = asked.payload_id(request.head, version)
            return await self._writes.do(lambda: self._follow(request, (payload_id, wanted)))

        return forkchoice_updated

    def _for_rollup(self, asked: EngineAttributes) -> PayloadAttributes:
        """The attributes, if a rollup can use them. Raises `RpcError`."""
        rules = self._config.schedule.at(asked.timestamp)
        try:
            if rules.eip1559_attributes:
                decode_eip1559_params(asked.eip1559_params or b"")
            elif asked.eip1559_params:
                raise DecodeError("attributes eip1559Params: not expected in blocks of this time")
            # geth takes empty bytes for none at all
            found = attrs.evolve(asked, eip1559_params=asked.eip1559_params or None).for_rollup()
        except DecodeError as error:
            raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, str(error)) from error
        return found

    async def _follow(self, request: ForkchoiceRequest, wanted: tuple[bytes, PayloadAttributes] | None) -> Json:
        """Move the heads, then begin the block that is wanted."""
        try:
            head = await self._engine.block(request.head)
        except NotFound:
            bad = self._rejected.lead_to(request.head)
            return answer(status("SYNCING") if bad is None else _linked(bad))
        heads = await self._move(request, head)
        if heads is None:
            return answer(status("SYNCING"))
        valid = status("VALID", latest=request.head)
        if wanted is None:
            return answer(valid)
        payload_id, attributes = wanted
        if payload_id not in self._buildings:
            match await self._engine.build(request.head, attributes, attrs.evolve(heads, unsafe=request.head)):
                case Building() as building:
                    await self._buildings.add(payload_id, building)
                case Invalid(reason=reason):
                    raise refusal(Code.INVALID_PAYLOAD_ATTRIBUTES, reason)
                case _:
                    return answer(status("SYNCING"))
        return answer(valid, payload_id)

    async def _move(self, request: ForkchoiceRequest, head: Payload) -> ForkchoiceState | None:
        """Give the engine the heads asked for; those it has then, or None while it is syncing. Raises `RpcError`.

        A head below the unsafe one on its own chain leaves that where it is, as op-geth does: whoever wants to go back
        builds another block on it. A head that is not named stays, too.
        """
        now = await self._engine.heads()
        unsafe = now.unsafe if await self._is_canonical(head, now) else request.head
        safe = now.safe if request.safe == _NONE_NAMED else request.safe
        finalized = now.finalized if request.finalized == _NONE_NAMED else request.finalized
        wanted = ForkchoiceState(unsafe=unsafe, safe=safe, finalized=finalized)
        if wanted == now:
            return now
        result = await self._engine.set_heads(wanted)
        if isinstance(result, Inconsistent) and request.safe == _NONE_NAMED and safe != finalized:
            # The safe head was on the branch that is given up, and the caller names no other one.
            wanted = attrs.evolve(wanted, safe=finalized)
            result = await self._engine.set_heads(wanted)
        match result:
            case Applied():
                return wanted
            case Inconsistent(reason=reason):
                raise refusal(Code.INVALID_FORKCHOICE_STATE, reason)
            case _:
                return None

    async def _is_canonical(self, head: Payload, now: ForkchoiceState) -> bool:
        if head.hash == now.unsafe:
            return True
        if head.number >= (await self._engine.block(now.unsafe)).number:
            return False
        try:
            return (await self._engine.block(L2Number(head.number))).hash == head.hash
        except NotFound:
            return False

    # --- getPayload

    def _get_payload(self, version: int) -> Any:
        async def get_payload(payload_id: Any) -> Json:
            name = arguments.payload_id(payload_id)
            versions.check_building(version, name)
            sealed = await self._writes.do(lambda: self._buildings.seal(name))
            if sealed is None:
                raise refusal(Code.UNKNOWN_PAYLOAD)
            versions.check_built(version, self._config.schedule.at(sealed.payload.timestamp))
            return payload_to_json(sealed.payload) if version == 1 else envelope(sealed)

        return get_payload


def status(verdict: str, *, latest: Hash32 | None = None, reason: str | None = None) -> Json:
    """A payload status."""
    return {
        "status": verdict,
        "latestValidHash": None if latest is None else to_data(latest),
        "validationError": reason,
    }


def answer(payload_status: Mapping[str, Any], payload_id: bytes | None = None) -> Json:
    """What `engine_forkchoiceUpdated` answers."""
    return {
        "payloadStatus": payload_status,
        "payloadId": None if payload_id is None else to_data(payload_id),
    }


def envelope(sealed: Sealed) -> Json:
    """What `engine_getPayload` answers from version 2 on: op-geth has one form for all of them."""
    payload = sealed.payload
    found: Json = {
        "executionPayload": payload_to_json(payload),
        "blockValue": to_quantity(sealed.value),
        "blobsBundle": {"commitments": [], "proofs": [], "blobs": []},
        "executionRequests": [] if payload.withdrawals_root is not None else None,
        "shouldOverrideBuilder": False,
    }
    if payload.parent_beacon_root is not None:
        found["parentBeaconBlockRoot"] = to_data(payload.parent_beacon_root)
    return found


def _linked(bad: Rejected) -> Json:
    return status("INVALID", latest=bad.parent, reason=_LINKED)
