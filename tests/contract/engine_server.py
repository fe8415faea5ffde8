"""The Engine API of this project in front of any engine, with the few `eth_` methods that a rollup node reads besides.

Written as op-geth answers (a deposit names isSystemTx only where it is true), from the engine's blocks alone.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from kroma_core.api import AccountProof, ExecutionEngine
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.hexadecimal import fixed, quantity, to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import header_of
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.transactions import LEGACY, decode_transaction
from kroma_core.errors import NotFound
from kroma_core.jsonrpc.jwt import JwtSecret, TokenRefused
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.server import HttpServer, serve_http
from kroma_core.l2 import L2Label, Payload
from kroma_core.node.authrpc.engine_api import EngineApi
from kroma_core.node.authrpc.inquiries import Inquiries
from kroma_core.node.authrpc.serve import LIMITS
from kroma_core.node.authrpc.writes import Writes
from kroma_core.types import L2Number

SECRET = bytes(range(32)).hex()
Json = dict[str, Any]


@asynccontextmanager
async def served(engine: ExecutionEngine, chain: ChainConfig) -> AsyncIterator[str]:
    """The URL of an Engine API with the secret `SECRET`, on a free port."""
    methods, writes = Methods(), Writes()
    _Questions(engine, chain).add_to(methods)
    EngineApi(engine, chain.rollup, writes).add_to(methods)
    Inquiries(engine, methods).add_to(methods)
    server = HttpServer(table="authrpc", methods=methods, authorise=authorise, limits=LIMITS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writes.run)
        host, port = await nursery.start(partial(serve_http, server, host="127.0.0.1", port=0))
        yield f"http://{host}:{port}"
        nursery.cancel_scope.cancel()


def written_secret(folder: Path) -> Path:
    """The file with the secret of `served`."""
    path = folder / "jwt.txt"
    path.write_text(SECRET)
    return path


def authorise(headers: Mapping[str, str]) -> str | None:
    """Why a request is refused."""
    try:
        JwtSecret.from_text(SECRET, "here").check(headers.get("authorization"), time.time())
    except TokenRefused as refused:
        return str(refused)
    return None


@attrs.frozen
class _Questions:
    engine: ExecutionEngine
    chain: ChainConfig

    def add_to(self, methods: Methods) -> None:
        methods.add("eth_chainId", self.chain_id)
        methods.add("eth_getBlockByNumber", self.by_number)
        methods.add("eth_getBlockByHash", self.by_hash)
        methods.add("eth_getBlockReceipts", self.receipts)
        methods.add("eth_getProof", self.proof)

    async def chain_id(self) -> str:
        return to_quantity(self.chain.rollup.l2_chain_id)

    async def by_number(self, number: str, full: bool) -> Json | None:
        named = L2Label(number) if number in tuple(L2Label) else L2Number(quantity(number, "number"))
        return await self.block(named, full)

    async def by_hash(self, name: str, full: bool) -> Json | None:
        return await self.block(fixed(name, 32, "hash"), full)

    async def block(self, name: Any, full: bool) -> Json | None:
        try:
            return block_json(await self.engine.block(name), full=full)
        except NotFound:
            return None

    async def receipts(self, name: str) -> list[Json] | None:
        try:
            found = await self.engine.receipts(fixed(name, 32, "hash"))
        except NotFound:
            return None
        return [receipt_json(Receipt.decode(raw)) for raw in found]

    async def proof(self, address: str, slots: Sequence[str], name: str) -> Json:
        wanted = [fixed(slot, 32, "slot") for slot in slots]
        return proof_json(await self.engine.proof(fixed(address, 20, "address"), wanted, fixed(name, 32, "hash")))


def block_json(payload: Payload, *, full: bool) -> Json:
    found: Json = {"hash": to_data(payload.hash), "uncles": []}
    for name, value in attrs.asdict(header_of(payload), recurse=False).items():
        if value is not None:
            found[_HEADER_KEYS.get(name, name)] = to_data(value) if isinstance(value, bytes) else to_quantity(value)
    found["transactions"] = [transaction_json(raw) if full else to_data(keccak256(raw)) for raw in payload.transactions]
    return found


def transaction_json(raw: bytes) -> Json:
    if is_deposit(raw):
        deposit = decode_deposit(raw)
        found: Json = {"type": "0x7e", "sourceHash": to_data(deposit.source_hash), "from": to_data(deposit.sender)}
        found |= {"isSystemTx": True} if deposit.is_system else {}
        found |= {"mint": to_quantity(deposit.mint)} if deposit.mint else {}
        signed: Any = deposit
    else:
        signed = decode_transaction(raw)
        found = {"type": to_quantity(signed.type), "nonce": to_quantity(signed.nonce)}
        found |= {name: to_quantity(getattr(signed, name)) for name in ("v", "r", "s")}
        if signed.chain_id is not None:
            found["chainId"] = to_quantity(signed.chain_id)
        if signed.gas_price is not None:
            found["gasPrice"] = to_quantity(signed.gas_price)
        if signed.type != LEGACY:
            found["accessList"] = [
                {"address": to_data(address), "storageKeys": [to_data(key) for key in keys]}
                for address, keys in signed.access_list
            ]
            found["maxFeePerGas"] = to_quantity(signed.max_fee)
            found["maxPriorityFeePerGas"] = to_quantity(signed.max_priority_fee)
    to = None if signed.to is None else to_data(signed.to)
    return {
        **found,
        "hash": to_data(keccak256(raw)),
        "to": to,
        "gas": to_quantity(signed.gas),
        "value": to_quantity(signed.value),
        "input": to_data(signed.data),
    }


def receipt_json(receipt: Receipt) -> Json:
    found: Json = {
        "type": to_quantity(receipt.type),
        "status": to_quantity(receipt.status),
        "cumulativeGasUsed": to_quantity(receipt.cumulative_gas_used),
        "logsBloom": to_data(receipt.bloom),
        "logs": [
            {
                "address": to_data(log.address),
                "topics": [to_data(topic) for topic in log.topics],
                "data": to_data(log.data),
            }
            for log in receipt.logs
        ],
    }
    if receipt.deposit_nonce is not None:
        found["depositNonce"] = to_quantity(receipt.deposit_nonce)
    if receipt.deposit_version is not None:
        found["depositReceiptVersion"] = to_quantity(receipt.deposit_version)
    return found


def proof_json(proof: AccountProof) -> Json:
    return {
        "address": to_data(proof.address),
        "nonce": to_quantity(proof.nonce),
        "balance": to_quantity(proof.balance),
        "codeHash": to_data(proof.code_hash),
        "storageHash": to_data(proof.storage_root),
        "accountProof": [to_data(node) for node in proof.account_proof],
        "storageProof": [
            {"key": to_data(slot), "value": to_quantity(value), "proof": [to_data(node) for node in nodes]}
            for slot, value, nodes in proof.storage
        ],
    }


_HEADER_KEYS = {
    "parent_hash": "parentHash",
    "uncle_hash": "sha3Uncles",
    "coinbase": "miner",
    "state_root": "stateRoot",
    "transactions_root": "transactionsRoot",
    "receipts_root": "receiptsRoot",
    "bloom": "logsBloom",
    "gas_limit": "gasLimit",
    "gas_used": "gasUsed",
    "extra_data": "extraData",
    "mix_hash": "mixHash",
    "base_fee": "baseFeePerGas",
    "withdrawals_root": "withdrawalsRoot",
    "blob_gas_used": "blobGasUsed",
    "excess_blob_gas": "excessBlobGas",
    "parent_beacon_root": "parentBeaconBlockRoot",
    "requests_hash": "requestsHash",
}
