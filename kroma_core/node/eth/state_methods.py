"""Accounts, storage and proofs after a block, and calls on top of one: `eth_get*`, `eth_call`, `eth_estimateGas`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.api import MessageCall, Ran, Refused
from kroma_core.codec.headers import EMPTY_ROOT, Header
from kroma_core.codec.hexadecimal import shown, to_data, to_quantity
from kroma_core.codec.keccak import EMPTY_HASH
from kroma_core.codec.transactions import AccessList
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.eth import arguments
from kroma_core.node.eth.arguments import CallArguments
from kroma_core.node.eth.blocks import Blocks
from kroma_core.node.eth.chain_methods import canonical_checked
from kroma_core.node.eth.estimate import GasEstimator
from kroma_core.node.eth.failures import call_error, refusal_error
from kroma_core.node.eth.fee_methods import suggested_tip
from kroma_core.node.eth.shapes import JsonObject, access_list_json
from kroma_core.types import ZERO_HASH, Hash32
from kroma_core.zktrie.nodes import EMPTY_ROOT as EMPTY_ZK_ROOT

CALL_GAS = 50_000_000
"""Gas that a call has at most."""
MOST_PROOF_KEYS = 1024
_ACCESS_LIST_ROUNDS = 16
_NO_STORAGE = (EMPTY_ROOT, EMPTY_ZK_ROOT)


class StateMethods:
    """What states hold and what calls would do."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._queries = blocks.queries
        self._earliest = blocks.config.genesis.l2.number

    def eth(self) -> Mapping[str, Handler]:
        return {
            "getBalance": self.balance,
            "getCode": self.code,
            "getStorageAt": self.storage,
            "getTransactionCount": self.transaction_count,
            "getProof": self.proof,
            "call": self.call,
            "estimateGas": self.estimate,
            "createAccessList": self.access_list,
        }

    async def _block(self, name: Any) -> tuple[Hash32, Header]:
        return await self._blocks.header(await canonical_checked(self._blocks, arguments.block(name, self._earliest)))

    # --- accounts

    async def balance(self, address: Any, block: Any = None) -> str:
        wanted = arguments.address(address)
        block_hash, _ = await self._block(block)
        return to_quantity((await self._queries.account(wanted, block_hash)).balance)

    async def code(self, address: Any, block: Any = None) -> str:
        wanted = arguments.address(address)
        block_hash, _ = await self._block(block)
        return to_data(await self._queries.code(wanted, block_hash))

    async def storage(self, address: Any, slot: Any, block: Any = None) -> str:
        wanted = arguments.address(address)
        key, _ = arguments.storage_slot(slot)
        block_hash, _ = await self._block(block)
        return to_data((await self._queries.storage(wanted, key, block_hash)).to_bytes(32, "big"))

    async def transaction_count(self, address: Any, block: Any = None) -> str:
        wanted = arguments.address(address)
        if block == "pending" and self._blocks.pool is not None:
            return to_quantity(await self._blocks.pool.pooled_nonce(wanted))
        block_hash, _ = await self._block(block)
        return to_quantity((await self._queries.account(wanted, block_hash)).nonce)

    async def proof(self, address: Any, keys: Any, block: Any = None) -> JsonObject:
        wanted = arguments.address(address)
        if not isinstance(keys, list):
            raise DecodeError(f"storage keys: expected a list, got {shown(keys)}")
        if len(keys) > MOST_PROOF_KEYS:
            raise DecodeError(f"too many storage keys requested (max {MOST_PROOF_KEYS}, got {len(keys)})")
        slots = [arguments.storage_slot(key) for key in keys]
        block_hash, _ = await self._block(block)
        found = await self._blocks.engine.proof(wanted, [slot.to_bytes(32, "big") for slot, _ in slots], block_hash)
        nothing = (found.nonce, found.balance, found.code_hash) == (0, 0, EMPTY_HASH)
        absent = nothing and found.storage_root in _NO_STORAGE
        return {
            "address": to_data(found.address),
            "accountProof": [to_data(node) for node in found.account_proof],
            "balance": to_quantity(found.balance),
            "codeHash": to_data(ZERO_HASH if absent else found.code_hash),
            "nonce": to_quantity(found.nonce),
            "storageHash": to_data(ZERO_HASH if absent else found.storage_root),
            "storageProof": [
                {
                    "key": to_data(slot) if size == 32 else to_quantity(int.from_bytes(slot, "big")),
                    "value": to_quantity(value),
                    "proof": [to_data(node) for node in proof],
                }
                for (slot, value, proof), (_, size) in zip(found.storage, slots, strict=True)
            ],
        }

    # --- calls

    async def call(self, call: Any, block: Any = None, accounts: Any = None, block_values: Any = None) -> str:
        asked = arguments.call(call, self._blocks.config.l2_chain_id)
        supposed = arguments.supposition(accounts, block_values)
        block_hash, _ = await self._block(block)
        gas = min(CALL_GAS if asked.gas is None else asked.gas, CALL_GAS)
        match await self._queries.call(message_of(asked, gas), block_hash, supposed):
            case Refused() as refused:
                raise refusal_error(refused, "err", f" (supplied gas {gas})")
            case Ran(failure=None) as done:
                return to_data(done.output)
            case done:
                raise call_error(done)

    async def estimate(self, call: Any, block: Any = None, accounts: Any = None, block_values: Any = None) -> str:
        asked = arguments.call(call, self._blocks.config.l2_chain_id)
        supposed = arguments.supposition(accounts, block_values)
        block_hash, header = await self._block(block)
        rules = self._blocks.rules_of(header)
        estimator = GasEstimator(
            queries=self._queries,
            call=message_of(asked, 0),
            block_hash=block_hash,
            supposed=supposed,
            gas_limit=header.gas_limit,
            most=min(CALL_GAS, rules.transaction_gas_cap or CALL_GAS),
        )
        return to_quantity(await estimator.estimate(asked.gas))

    async def access_list(self, call: Any, block: Any = None, accounts: Any = None) -> JsonObject:
        asked = arguments.call(call, self._blocks.config.l2_chain_id)
        supposed = arguments.supposition(accounts, None)
        block_hash, header = await self._block(block)
        asked = await self._with_fees(asked, header)
        gas = min(CALL_GAS if asked.gas is None else asked.gas, CALL_GAS)
        entries = asked.access_list
        for _ in range(_ACCESS_LIST_ROUNDS):
            done = await self._queries.call(message_of(asked, gas, entries), block_hash, supposed)
            if isinstance(done, Refused):
                raise refusal_error(done, "failed to apply transaction")
            found: JsonObject = {"accessList": access_list_json(entries), "gasUsed": to_quantity(done.gas_used)}
            if done.failure is not None:
                found["error"] = call_error(done).message
            before, entries = entries, _merged(entries, done.accessed)
            if entries == before:
                return found
        raise RpcError(Code.SERVER_ERROR, f"no access list after {_ACCESS_LIST_ROUNDS} rounds")

    async def _with_fees(self, asked: CallArguments, header: Header) -> CallArguments:
        """The call with the fees that a transaction would have: an access list is made for one."""
        if asked.gas_price is not None:
            if not asked.gas_price:
                raise RpcError(Code.SERVER_ERROR, "gasPrice must be non-zero after london fork")
            return asked
        if asked.max_fee == 0 and asked.max_priority_fee is not None:
            raise RpcError(Code.SERVER_ERROR, "maxFeePerGas must be non-zero")
        tip = await suggested_tip(self._blocks) if asked.max_priority_fee is None else asked.max_priority_fee
        max_fee = tip + 2 * (header.base_fee or 0) if asked.max_fee is None else asked.max_fee
        if max_fee < tip:
            raise RpcError(Code.SERVER_ERROR, f"maxFeePerGas ({max_fee}) < maxPriorityFeePerGas ({tip})")
        return attrs.evolve(asked, max_fee=max_fee, max_priority_fee=tip)


def _merged(entries: AccessList, more: AccessList) -> AccessList:
    wanted: dict[bytes, dict[bytes, None]] = {}
    for address, keys in (*entries, *more):
        wanted.setdefault(address, {}).update(dict.fromkeys(keys))
    return tuple([(address, tuple(keys)) for address, keys in wanted.items()])


def message_of(asked: CallArguments, gas: int, access_list: AccessList | None = None) -> MessageCall:
    """What was asked for, with this much gas."""
    max_fee, tip = asked.fees
    return MessageCall(
        sender=asked.sender,
        to=asked.to,
        gas=gas,
        value=asked.value,
        data=asked.data,
        max_fee=max_fee,
        max_priority_fee=tip,
        access_list=asked.access_list if access_list is None else access_list,
        authorizations=asked.authorizations,
    )
