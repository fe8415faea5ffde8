"""Blocks, transactions and receipts as an L1's JSON-RPC shows them, written out from the execution-apis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.codec.transactions import LEGACY, Transaction, decode_transaction
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32

JsonObject = dict[str, Any]


def text(value: bytes) -> str:
    return "0x" + value.hex()


def block_json(header: Header, block_hash: Hash32, transactions: Sequence[bytes], *, full: bool) -> JsonObject:
    """A block of `eth_getBlockBy*`; without `full` its transactions are hashes."""
    shown: JsonObject = {
        "hash": text(block_hash),
        "parentHash": text(header.parent_hash),
        "sha3Uncles": text(header.uncle_hash),
        "miner": text(header.coinbase),
        "stateRoot": text(header.state_root),
        "transactionsRoot": text(header.transactions_root),
        "receiptsRoot": text(header.receipts_root),
        "logsBloom": text(header.bloom),
        "difficulty": hex(header.difficulty),
        "number": hex(header.number),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": text(header.extra_data),
        "mixHash": text(header.mix_hash),
        "nonce": text(header.nonce),
        "size": "0x400",
        "uncles": [],
    }
    later: JsonObject = {
        "baseFeePerGas": None if header.base_fee is None else hex(header.base_fee),
        "withdrawalsRoot": None if header.withdrawals_root is None else text(header.withdrawals_root),
        "blobGasUsed": None if header.blob_gas_used is None else hex(header.blob_gas_used),
        "excessBlobGas": None if header.excess_blob_gas is None else hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": None if header.parent_beacon_root is None else text(header.parent_beacon_root),
        "requestsHash": None if header.requests_hash is None else text(header.requests_hash),
    }
    shown |= {name: value for name, value in later.items() if value is not None}
    shown["transactions"] = [
        transaction_json(raw, block_hash, header.number, place) if full else text(keccak256(raw))
        for place, raw in enumerate(transactions)
    ]
    return shown


def transaction_json(raw: bytes, block_hash: Hash32, number: int, place: int) -> JsonObject:
    """A transaction as it stands in a block; of one that does not decode, what every transaction has."""
    where = {"hash": text(keccak256(raw)), "blockHash": text(block_hash), "blockNumber": hex(number)}
    where |= {"transactionIndex": hex(place)}
    try:
        found = decode_transaction(raw)
    except DecodeError:
        return where | {"type": hex(raw[0]), "nonce": "0x0"}
    return where | _fields(found)


def _fields(found: Transaction) -> JsonObject:
    shown: JsonObject = {
        "type": hex(found.type),
        "from": text(found.sender),
        "nonce": hex(found.nonce),
        "gas": hex(found.gas),
        "to": None if found.to is None else text(found.to),
        "value": hex(found.value),
        "input": text(found.data),
        "v": hex(found.v),
        "r": hex(found.r),
        "s": hex(found.s),
        "gasPrice": hex(found.max_fee),
    }
    if found.chain_id is not None:
        shown["chainId"] = hex(found.chain_id)
    if found.type == LEGACY:
        return shown
    shown["yParity"] = hex(found.v)
    shown["accessList"] = [
        {"address": text(address), "storageKeys": [text(key) for key in keys]} for address, keys in found.access_list
    ]
    if found.type >= 2:
        shown |= {"maxFeePerGas": hex(found.max_fee), "maxPriorityFeePerGas": hex(found.max_priority_fee)}
    if found.max_fee_per_blob_gas is not None:
        shown["maxFeePerBlobGas"] = hex(found.max_fee_per_blob_gas)
        shown["blobVersionedHashes"] = [text(one) for one in found.blob_hashes]
    if found.type == 4:
        shown["authorizationList"] = [
            {
                "chainId": hex(one.chain_id),
                "address": text(one.address),
                "nonce": hex(one.nonce),
                "yParity": hex(one.y_parity),
                "r": hex(one.r),
                "s": hex(one.s),
            }
            for one in found.authorizations
        ]
    return shown


def receipt_json(receipt: Receipt, raw: bytes, block_hash: Hash32, number: int, place: int) -> JsonObject:
    """A receipt of transaction `raw` at its place in a block."""
    where = {
        "transactionHash": text(keccak256(raw)),
        "transactionIndex": hex(place),
        "blockHash": text(block_hash),
        "blockNumber": hex(number),
    }
    return where | {
        "type": hex(receipt.type),
        "status": hex(receipt.status),
        "cumulativeGasUsed": hex(receipt.cumulative_gas_used),
        "gasUsed": "0x5208",
        "logsBloom": text(receipt.bloom),
        "logs": [_log(log, where, index) for index, log in enumerate(receipt.logs)],
    }


def _log(log: Log, where: JsonObject, index: int) -> JsonObject:
    return where | {
        "address": text(log.address),
        "topics": [text(topic) for topic in log.topics],
        "data": text(log.data),
        "logIndex": hex(index),
        "removed": False,
    }
