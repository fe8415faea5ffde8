"""Headers and transactions in the JSON form that geth gives its consensus types, without a place in a chain.

`eth_` methods show more (block, index, sender); kroma-node's public input has this form.
"""

from __future__ import annotations

from typing import Any

from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.transactions import ACCESS_LIST, LEGACY, Transaction, decode_transaction


def header_json(header: Header) -> dict[str, Any]:
    """A header with its hash; fields that its fork does not have are null."""
    return {
        "parentHash": to_data(header.parent_hash),
        "sha3Uncles": to_data(header.uncle_hash),
        "miner": to_data(header.coinbase),
        "stateRoot": to_data(header.state_root),
        "transactionsRoot": to_data(header.transactions_root),
        "receiptsRoot": to_data(header.receipts_root),
        "logsBloom": to_data(header.bloom),
        "difficulty": to_quantity(header.difficulty),
        "number": to_quantity(header.number),
        "gasLimit": to_quantity(header.gas_limit),
        "gasUsed": to_quantity(header.gas_used),
        "timestamp": to_quantity(header.timestamp),
        "extraData": to_data(header.extra_data),
        "mixHash": to_data(header.mix_hash),
        "nonce": to_data(header.nonce),
        "baseFeePerGas": _quantity(header.base_fee),
        "withdrawalsRoot": _data(header.withdrawals_root),
        "blobGasUsed": _quantity(header.blob_gas_used),
        "excessBlobGas": _quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": _data(header.parent_beacon_root),
        "hash": to_data(header.hash),
    }


def transaction_json(raw: bytes, *, legacy_deposits: bool) -> dict[str, Any]:
    """A transaction with its hash; `legacy_deposits`: deposits are encoded without isSystemTx. Raises `DecodeError`."""
    if is_deposit(raw):
        return _deposit(raw, legacy=legacy_deposits)
    return _signed(decode_transaction(raw))


def _deposit(raw: bytes, *, legacy: bool) -> dict[str, Any]:
    deposit = decode_deposit(raw, legacy=legacy)
    found: dict[str, Any] = {
        "type": "0x7e",
        "nonce": None,
        "to": _data(deposit.to),
        "gas": to_quantity(deposit.gas),
        "gasPrice": None,
        "maxPriorityFeePerGas": None,
        "maxFeePerGas": None,
        "value": to_quantity(deposit.value),
        "input": to_data(deposit.data),
        "v": None,
        "r": None,
        "s": None,
        "sourceHash": to_data(deposit.source_hash),
        "from": to_data(deposit.sender),
        "mint": to_quantity(deposit.mint),
    }
    if not legacy:
        found["isSystemTx"] = deposit.is_system
    found["hash"] = to_data(keccak256(raw))
    return found


def _signed(transaction: Transaction) -> dict[str, Any]:
    priced = transaction.type <= ACCESS_LIST
    found: dict[str, Any] = {"type": to_quantity(transaction.type)}
    if transaction.chain_id is not None:
        found["chainId"] = to_quantity(transaction.chain_id)
    found |= {
        "nonce": to_quantity(transaction.nonce),
        "to": _data(transaction.to),
        "gas": to_quantity(transaction.gas),
        "gasPrice": to_quantity(transaction.max_fee) if priced else None,
        "maxPriorityFeePerGas": None if priced else to_quantity(transaction.max_priority_fee),
        "maxFeePerGas": None if priced else to_quantity(transaction.max_fee),
    }
    if transaction.max_fee_per_blob_gas is not None:
        found["maxFeePerBlobGas"] = to_quantity(transaction.max_fee_per_blob_gas)
    found |= {"value": to_quantity(transaction.value), "input": to_data(transaction.data)}
    if transaction.type != LEGACY:
        found["accessList"] = [
            {"address": to_data(address), "storageKeys": [to_data(key) for key in keys]}
            for address, keys in transaction.access_list
        ]
    if transaction.blob_hashes:
        found["blobVersionedHashes"] = [to_data(each) for each in transaction.blob_hashes]
    if transaction.authorizations:
        found["authorizationList"] = [
            {
                "chainId": to_quantity(each.chain_id),
                "address": to_data(each.address),
                "nonce": to_quantity(each.nonce),
                "yParity": to_quantity(each.y_parity),
                "r": to_quantity(each.r),
                "s": to_quantity(each.s),
            }
            for each in transaction.authorizations
        ]
    found |= {"v": to_quantity(transaction.v), "r": to_quantity(transaction.r), "s": to_quantity(transaction.s)}
    if transaction.type != LEGACY:
        found["yParity"] = to_quantity(transaction.v)
    found["hash"] = to_data(transaction.hash)
    return found


def _data(value: bytes | None) -> str | None:
    return None if value is None else to_data(value)


def _quantity(value: int | None) -> str | None:
    return None if value is None else to_quantity(value)
