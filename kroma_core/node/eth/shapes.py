"""Blocks, transactions, receipts and logs as the JSON-RPC shows them.

Spec: execution-apis, "eth"; exec-engine.md, "Deposited transactions"; regolith, canyon, isthmus and jovian
exec-engine.md, "Receipts".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kroma_core.chain.receipt_fees import BlockFees
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.headers import Header
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Log, Receipt
from kroma_core.codec.rlp import encode_bytes, encode_int, encode_list
from kroma_core.codec.transactions import ACCESS_LIST, LEGACY, SET_CODE, AccessList, Transaction
from kroma_core.node.eth.blocks import KnownBlock, KnownTransaction
from kroma_core.types import Address, Hash32

JsonObject = dict[str, Any]


def to_checksum(address: Address) -> str:
    """An address with its checksum in upper and lower case. Spec: EIP-55."""
    text = address.hex()
    digest = keccak256(text.encode()).hex()
    return "0x" + "".join(
        [letter.upper() if int(nibble, 16) > 7 else letter for letter, nibble in zip(text, digest, strict=False)]
    )


def header_json(header: Header, block_hash: Hash32) -> JsonObject:
    """What every form of a block begins with, and what a subscriber to new heads gets."""
    found: JsonObject = {
        "number": to_quantity(header.number),
        "hash": to_data(block_hash),
        "parentHash": to_data(header.parent_hash),
        "nonce": to_data(header.nonce),
        "mixHash": to_data(header.mix_hash),
        "sha3Uncles": to_data(header.uncle_hash),
        "logsBloom": to_data(header.bloom),
        "stateRoot": to_data(header.state_root),
        "miner": to_data(header.coinbase),
        "difficulty": to_quantity(header.difficulty),
        "extraData": to_data(header.extra_data),
        "gasLimit": to_quantity(header.gas_limit),
        "gasUsed": to_quantity(header.gas_used),
        "timestamp": to_quantity(header.timestamp),
        "transactionsRoot": to_data(header.transactions_root),
        "receiptsRoot": to_data(header.receipts_root),
    }
    for key, number in (
        ("baseFeePerGas", header.base_fee),
        ("blobGasUsed", header.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas),
    ):
        if number is not None:
            found[key] = to_quantity(number)
    for key, value in (
        ("withdrawalsRoot", header.withdrawals_root),
        ("parentBeaconBlockRoot", header.parent_beacon_root),
        ("requestsHash", header.requests_hash),
    ):
        if value is not None:
            found[key] = to_data(value)
    return found


def block_json(block: KnownBlock, receipts: Sequence[Receipt] | None) -> JsonObject:
    """A block; with transactions in full where its receipts are given, which deposits need, else with their hashes."""
    found = header_json(block.header, block.hash)
    found["size"] = to_quantity(len(block.encoded))
    if receipts is None:
        found["transactions"] = [to_data(transaction.hash) for transaction in block.transactions]
    else:
        found["transactions"] = [
            transaction_json(transaction, block, index, receipts[index])
            for index, transaction in enumerate(block.transactions)
        ]
    found["uncles"] = []
    if block.header.withdrawals_root is not None:
        found["withdrawals"] = []
    return found


def transaction_json(
    transaction: KnownTransaction, block: KnownBlock | None, index: int, receipt: Receipt | None
) -> JsonObject:
    """A transaction in its block, or, without one, of the pool. `receipt` tells a deposit's nonce."""
    content = transaction.content
    found: JsonObject = {
        "blockHash": None,
        "blockNumber": None,
        "blockTimestamp": None,
        "transactionIndex": None,
        "from": to_data(transaction.sender),
        "gas": to_quantity(content.gas),
        "hash": to_data(transaction.hash),
        "input": to_data(content.data),
        "to": None if content.to is None else to_data(content.to),
        "value": to_quantity(content.value),
        "type": to_quantity(transaction.type),
    }
    if block is not None:
        found |= {
            "blockHash": to_data(block.hash),
            "blockNumber": to_quantity(block.header.number),
            "blockTimestamp": to_quantity(block.header.timestamp),
            "transactionIndex": to_quantity(index),
        }
    if isinstance(content, DepositTransaction):
        return found | _deposit_fields(content, receipt)
    return found | _signed_fields(content, block)


def _deposit_fields(deposit: DepositTransaction, receipt: Receipt | None) -> JsonObject:
    nonce = receipt.deposit_nonce if receipt is not None else None
    found: JsonObject = {
        "nonce": to_quantity(nonce or 0),
        "gasPrice": "0x0",
        "v": "0x0",
        "r": "0x0",
        "s": "0x0",
        "sourceHash": to_data(deposit.source_hash),
        "mint": to_quantity(deposit.mint),
    }
    if deposit.is_system:
        found["isSystemTx"] = True
    if receipt is not None and receipt.deposit_version is not None and nonce is not None:
        found["depositReceiptVersion"] = to_quantity(receipt.deposit_version)
    return found


def _signed_fields(signed: Transaction, block: KnownBlock | None) -> JsonObject:
    found: JsonObject = {
        "nonce": to_quantity(signed.nonce),
        "gasPrice": to_quantity(signed.max_fee if block is None else effective_price(signed, block.base_fee)),
        "v": to_quantity(signed.v),
        "r": to_quantity(signed.r),
        "s": to_quantity(signed.s),
    }
    if signed.chain_id is not None:
        found["chainId"] = to_quantity(signed.chain_id)
    if signed.type == LEGACY:
        return found
    found["accessList"] = access_list_json(signed.access_list)
    found["yParity"] = to_quantity(1 if signed.v else 0)
    if signed.type > ACCESS_LIST:
        found["maxFeePerGas"] = to_quantity(signed.max_fee)
        found["maxPriorityFeePerGas"] = to_quantity(signed.max_priority_fee)
    if signed.type == SET_CODE:
        found["authorizationList"] = [
            {
                "chainId": to_quantity(one.chain_id),
                "address": to_data(one.address),
                "nonce": to_quantity(one.nonce),
                "yParity": to_quantity(one.y_parity),
                "r": to_quantity(one.r),
                "s": to_quantity(one.s),
            }
            for one in signed.authorizations
        ]
    return found


def access_list_json(entries: AccessList) -> list[JsonObject]:
    return [{"address": to_data(address), "storageKeys": [to_data(key) for key in keys]} for address, keys in entries]


def effective_price(signed: Transaction, base_fee: int) -> int:
    """What each gas costs the sender in a block."""
    return min(signed.max_fee, base_fee + signed.max_priority_fee)


def receipt_json(
    block: KnownBlock, index: int, receipts: Sequence[Receipt], fees: BlockFees | None, first_log: int
) -> JsonObject:
    """A receipt. `fees` are the block's, None where it has no L1 attributes; `first_log` is its first log's index."""
    transaction, receipt = block.transactions[index], receipts[index]
    content = transaction.content
    before = receipts[index - 1].cumulative_gas_used if index else 0
    found: JsonObject = {
        "blockHash": to_data(block.hash),
        "blockNumber": to_quantity(block.header.number),
        "transactionHash": to_data(transaction.hash),
        "transactionIndex": to_quantity(index),
        "from": to_data(transaction.sender),
        "to": None if content.to is None else to_data(content.to),
        "gasUsed": to_quantity(receipt.cumulative_gas_used - before),
        "cumulativeGasUsed": to_quantity(receipt.cumulative_gas_used),
        "contractAddress": None,
        "logs": [log_json(log, block, index, first_log + position) for position, log in enumerate(receipt.logs)],
        "logsBloom": to_data(receipt.bloom),
        "type": to_quantity(transaction.type),
        "effectiveGasPrice": "0x0",
        "status": to_quantity(receipt.status),
    }
    if content.to is None:
        nonce = receipt.deposit_nonce or 0 if isinstance(content, DepositTransaction) else content.nonce
        found["contractAddress"] = to_data(created_address(transaction.sender, nonce))
    if isinstance(content, DepositTransaction):
        if receipt.deposit_nonce is not None:
            found["depositNonce"] = to_quantity(receipt.deposit_nonce)
            if receipt.deposit_version is not None:
                found["depositReceiptVersion"] = to_quantity(receipt.deposit_version)
        return found
    found["effectiveGasPrice"] = to_quantity(effective_price(content, block.base_fee))
    return found if fees is None else {**found, **fees.fields(transaction.raw)}


def log_json(log: Log, block: KnownBlock, index: int, log_index: int, *, removed: bool = False) -> JsonObject:
    """A log of the transaction at `index`; `log_index` counts in the block."""
    return {
        "address": to_data(log.address),
        "topics": [to_data(topic) for topic in log.topics],
        "data": to_data(log.data),
        "blockNumber": to_quantity(block.header.number),
        "transactionHash": to_data(block.transactions[index].hash),
        "transactionIndex": to_quantity(index),
        "blockHash": to_data(block.hash),
        "blockTimestamp": to_quantity(block.header.timestamp),
        "logIndex": to_quantity(log_index),
        "removed": removed,
    }


def created_address(creator: Address, nonce: int) -> Address:
    """Where a transaction without recipient puts a contract."""
    return keccak256(encode_list([encode_bytes(creator), encode_int(nonce)]))[12:]
