"""The engine protocol over the Engine API and the `eth_` methods beside it.

Spec: exec-engine.md, "Engine API"; execution-apis, "engine".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import trio

from kroma_core.api import AccountProof, Applied, Building, Gone, Inconsistent, Invalid, Sealed, Syncing, Valid
from kroma_core.codec.hexadecimal import data, to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import attributes_to_json, envelope_from_json, payload_to_json
from kroma_core.errors import DecodeError, NotFound, ResetError, TemporaryError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.types import Address, BlockId, Hash32, L2Number
from kroma_engine_rpc import answers, blocks
from kroma_engine_rpc.answers import ForkchoiceAnswer, PayloadStatus, said, severity
from kroma_engine_rpc.blocks import FoundHeader
from kroma_engine_rpc.connection import Connection, object_or_none, readable
from kroma_engine_rpc.identity import WITHOUT_ATTRIBUTES, forkchoice_updated, get_payload, new_payload

_REMEMBERED = 4096
_BUILDINGS = 16
_READINGS = 3
"""How often heads are read where they contradict each other. An engine may be in the midst of moving them."""


@attrs.frozen(kw_only=True)
class _Begun:
    """What a block under construction was begun with."""

    parent: Hash32
    attributes: PayloadAttributes


class RpcEngine:
    """An external engine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._config = connection.chain.rollup
        self._buildings: dict[bytes, _Begun] = {}
        self._numbers: dict[Hash32, L2Number] = {}
        """Blocks that the engine has, as far as they were met."""
        connection.on_lost.append(self._numbers.clear)

    # --- reading

    async def heads(self) -> ForkchoiceState:
        """An engine moves its heads one after another, also for a caller that has given up waiting meanwhile."""
        for _ in range(_READINGS):
            unsafe, safe, finalized = await self._heads()
            if finalized.number <= safe.number <= unsafe.number:
                break
        return ForkchoiceState(unsafe=unsafe.hash, safe=safe.hash, finalized=finalized.hash)

    async def _heads(self) -> list[BlockId]:
        labels = (L2Label.UNSAFE, L2Label.SAFE, L2Label.FINALIZED)
        answers = await self._connection.ask_all([("eth_getBlockByNumber", [label.value, False]) for label in labels])
        found = []
        with readable("eth_getBlockByNumber", self._connection.eth.server):
            for label, block in zip(labels, answers, strict=True):
                held = object_or_none(block, f"the engine's {label} block")
                found.append(self._config.genesis.l2 if held is None else _id(self._noted(held)))
        return found

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        method, name = "eth_getBlockByNumber", str(block)
        if isinstance(block, L2Label):
            params: tuple[Any, ...] = (block.value, True)
        elif isinstance(block, bytes):
            method, name, params = "eth_getBlockByHash", f"0x{block.hex()}", (to_data(block), True)
        else:
            params = (to_quantity(block), True)
        answer = (await self._connection.ask_all([(method, params)]))[0]
        with readable(method, self._connection.eth.server):
            found = object_or_none(answer, f"the engine's block {name}")
            if found is None:
                if isinstance(block, L2Label) and block is not L2Label.UNSAFE:
                    return await self.block(self._config.genesis.l2.hash)  # a label that was never set
                raise NotFound(f"the engine at {self._connection.eth.server} has no block {name}")
            header = self._noted(found)
            _expect_same(block, header)
            try:
                return blocks.payload_found(header, blocks.transactions_found(found, self._config.schedule))
            except DecodeError as error:
                return await self._payload_of_raw(header, found, error)

    async def _payload_of_raw(self, header: FoundHeader, block: blocks.JsonObject, why: DecodeError) -> Payload:
        """The payload with its transactions asked for as bytes: some are of a type that this node cannot encode."""
        listed = block.get("transactions")
        count = len(listed) if isinstance(listed, list) else 0
        method, name = "eth_getRawTransactionByBlockHashAndIndex", to_data(header.hash)
        found = await self._connection.ask_all([(method, [name, to_quantity(index)]) for index in range(count)])
        if any(isinstance(raw, RpcError) for raw in found):
            raise why
        return blocks.payload_found(header, [data(raw, "raw transaction") for raw in found])

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        method, name = "eth_getBlockReceipts", to_data(block_hash)
        block, receipts = await self._connection.ask_all([("eth_getBlockByHash", [name, False]), (method, [name])])
        header = self._header_in(block, block_hash)
        if isinstance(receipts, RpcError) and receipts.code == Code.METHOD_NOT_FOUND:
            raws = (await self.block(block_hash)).transactions
            method = "eth_getTransactionReceipt"
            receipts = await self._connection.ask_all([(method, [to_data(keccak256(raw))]) for raw in raws])
        if isinstance(receipts, RpcError):
            raise TemporaryError(f"{method} of {self._connection.eth.server}: {said(receipts)}")
        with readable(method, self._connection.eth.server):
            return blocks.receipts_found(header, receipts)

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        name = to_data(block_hash)
        wanted = [to_data(address), [to_data(slot) for slot in slots], name]
        block, answer = await self._connection.ask_all(
            [("eth_getBlockByHash", [name, False]), ("eth_getProof", wanted)]
        )
        header = self._header_in(block, block_hash)
        if isinstance(answer, RpcError):
            if answer.code != Code.SERVER_ERROR:
                raise TemporaryError(f"eth_getProof of {self._connection.eth.server}: {said(answer)}")
            raise NotFound(f"the engine has no proof in the state of block {header.header.number}: {said(answer)}")
        with readable("eth_getProof", self._connection.eth.server):
            rules = self._config.schedule.at(header.header.timestamp)
            return blocks.proof_found(header, address, slots, answer, rules.state)

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        return (await self.proof(address, (), block_hash)).storage_root

    def _header_in(self, block: Any, block_hash: Hash32) -> FoundHeader:
        with readable("eth_getBlockByHash", self._connection.eth.server):
            found = object_or_none(block, f"the engine's block 0x{block_hash.hex()}")
            if found is None:
                raise NotFound(f"the engine at {self._connection.eth.server} has no block 0x{block_hash.hex()}")
            header = self._noted(found)
            _expect_same(block_hash, header)
            return header

    # --- building

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        rules = self._config.schedule.at(attributes.timestamp)
        method = forkchoice_updated(rules)
        what = f"begin an L2 block at time {attributes.timestamp} on 0x{parent.hex()}"
        try:
            answer = await self._forkchoice(method, attrs.evolve(heads, unsafe=parent), attributes_to_json(attributes))
        except RpcError as error:
            if error.code == Code.INVALID_PAYLOAD_ATTRIBUTES:
                return Invalid(reason=said(error), latest_valid=parent)
            if error.code == Code.INVALID_FORKCHOICE_STATE:
                raise ResetError(f"{what}: {said(error)}") from error
            unreadable = answers.unreadable_transaction(attributes.transactions, rules)
            if unreadable is not None:
                return Invalid(reason=f"{unreadable} ({said(error)})", latest_valid=parent)
            raise severity(error, what) from error
        if isinstance(answer.status.verdict, Syncing):
            return Syncing()
        if isinstance(answer.status.verdict, Invalid):
            raise ResetError(f"{what}: the engine holds the parent for invalid: {answer.status.verdict.reason}")
        if answer.payload_id is None:
            raise TemporaryError(f"{what}: the engine has begun none; does it run as a rollup's engine?")
        if len(self._buildings) >= _BUILDINGS:
            del self._buildings[next(iter(self._buildings))]
        self._buildings[answer.payload_id] = _Begun(parent=parent, attributes=attributes)
        return Building(id=answer.payload_id, parent=parent)

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        begun = self._buildings.get(building.id)
        if begun is None:
            await trio.lowlevel.checkpoint()
            return Gone()
        method = get_payload(self._config.schedule.at(begun.attributes.timestamp))
        what = f"seal an L2 block at time {begun.attributes.timestamp} on 0x{begun.parent.hex()}"
        try:
            answer = await self._connection.tell(method, to_data(building.id))
        except RpcError as error:
            if error.code == Code.UNKNOWN_PAYLOAD:
                self._buildings.pop(building.id, None)
                return Gone()
            raise severity(error, what) from error
        with readable(method, self._connection.engine.server):
            if not isinstance(answer, dict):
                raise DecodeError("sealed block: expected an object")
            payload = envelope_from_json(answer)
        self._buildings.pop(building.id, None)
        payload = attrs.evolve(payload, parent_beacon_root=begun.attributes.parent_beacon_root)
        index = answers.left_out(begun.attributes, payload)
        if index is not None:
            return Invalid(
                reason=f"the engine left out transaction {index}, which is forced", latest_valid=begun.parent
            )
        return Sealed(payload=payload)

    async def cancel(self, building: Building) -> None:
        await trio.lowlevel.checkpoint()
        self._buildings.pop(building.id, None)  # the Engine API has no word for it: the engine lets it lapse

    # --- executing

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        rules = self._config.schedule.at(payload.timestamp)
        wrong = answers.form_problem(payload, rules)
        if wrong is not None:
            await trio.lowlevel.checkpoint()
            return Invalid(reason=wrong)
        params: list[Any] = [payload_to_json(payload)]
        if payload.parent_beacon_root is not None:
            params += [[], to_data(payload.parent_beacon_root)]
        if payload.withdrawals_root is not None:
            params.append([])
        method = new_payload(rules)
        try:
            answer = await self._connection.tell(method, *params)
        except RpcError as error:
            raise severity(error, f"execute L2 block {payload.id}") from error
        with readable(method, self._connection.engine.server):
            verdict = PayloadStatus.from_json(answer).verdict
        if isinstance(verdict, Valid):
            self._note(payload.hash, payload.number)
        return verdict

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        contradiction = await self._contradiction(heads)
        if contradiction is not None:
            return Inconsistent(reason=contradiction)
        try:
            status = (await self._forkchoice(WITHOUT_ATTRIBUTES, heads, None)).status
        except RpcError as error:
            if error.code == Code.INVALID_FORKCHOICE_STATE:
                return Inconsistent(reason=said(error))
            raise severity(error, f"set the head to L2 block 0x{heads.unsafe.hex()}") from error
        match status.verdict:
            case Syncing():
                return Syncing()
            case Invalid(reason=reason):
                return Inconsistent(reason=f"the engine holds block 0x{heads.unsafe.hex()} for invalid: {reason}")
            case _:
                return Applied()

    async def _forkchoice(self, method: str, heads: ForkchoiceState, attributes: Any) -> ForkchoiceAnswer:
        state = {
            "headBlockHash": to_data(heads.unsafe),
            "safeBlockHash": to_data(heads.safe),
            "finalizedBlockHash": to_data(heads.finalized),
        }
        answer = await self._connection.tell(method, state, attributes)
        with readable(method, self._connection.engine.server):
            return ForkchoiceAnswer.from_json(answer)

    async def _contradiction(self, heads: ForkchoiceState) -> str | None:
        """Heads that are not in order. An engine sees to it that they lie on one chain, but not that they ascend."""
        numbers = [await self._number(block) for block in (heads.finalized, heads.safe, heads.unsafe)]
        for index, names in enumerate((("finalized", "safe"), ("safe", "unsafe"))):
            lower, upper = numbers[index], numbers[index + 1]
            if lower is not None and upper is not None and lower > upper:
                return f"the {names[0]} block {lower} is above the {names[1]} block {upper}"
        return None

    async def _number(self, block_hash: Hash32) -> L2Number | None:
        """The number of a block that the engine has."""
        known = self._numbers.get(block_hash)
        if known is not None:
            return known
        answer = (await self._connection.ask_all([("eth_getBlockByHash", [to_data(block_hash), False])]))[0]
        with readable("eth_getBlockByHash", self._connection.eth.server):
            found = object_or_none(answer, f"the engine's block 0x{block_hash.hex()}")
            return None if found is None else L2Number(self._noted(found).header.number)

    def _noted(self, block: blocks.JsonObject) -> FoundHeader:
        found = blocks.header_found(block)
        self._note(found.hash, L2Number(found.header.number))
        return found

    def _note(self, block_hash: Hash32, number: L2Number) -> None:
        if len(self._numbers) >= _REMEMBERED:
            del self._numbers[next(iter(self._numbers))]
        self._numbers[block_hash] = number


def _id(found: FoundHeader) -> BlockId:
    return BlockId(found.hash, found.header.number)


def _expect_same(asked: Hash32 | L2Number | L2Label, found: FoundHeader) -> None:
    """Raises `DecodeError` where an answer is not the block that was asked for."""
    if isinstance(asked, L2Label):
        return
    got = found.hash if isinstance(asked, bytes) else found.header.number
    if got != asked:
        wanted = f"0x{asked.hex()}" if isinstance(asked, bytes) else str(asked)
        raise DecodeError(f"expected block {wanted}, got {found.header.number} (0x{found.hash.hex()})")
