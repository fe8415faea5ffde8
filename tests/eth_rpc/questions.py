"""Questions about a chain that two servers of the `eth_` methods must answer alike, made from its own blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from kroma_core.codec.deposits import DepositTransaction, decode_deposit, is_deposit
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.transactions import Transaction, decode_transaction
from kroma_core.errors import DecodeError
from kroma_core.recording import ExpectedBlock

Question = tuple[str, list[Any]]

PREDEPLOYS = ["0x42000000000000000000000000000000000000" + number for number in ("11", "15", "16", "19", "1a", "1b")]
NOBODY = "0x" + "99" * 20
MOST_GAS = 300_000
"""Enough for what the recorded chains do; their endless loops end soon."""
AT_ONCE = 20
"""Questions in a batch: op-geth gives up on an answer after some seconds."""
SHORT_ENOUGH = 45_000
"""Gas of transactions whose steps are compared: those of longer ones fill gigabytes."""
CALL_TRACER = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
FULL_STEPS = {"enableMemory": True, "enableReturnData": True}


def about_blocks(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """Blocks in every form, by every name."""
    for block in blocks:
        number, block_hash = hex(block.payload.number), to_data(block.hash)
        yield "eth_getBlockByNumber", [number, True]
        yield "eth_getBlockByHash", [block_hash, False]
        yield "eth_getBlockTransactionCountByNumber", [number]
        yield "eth_getBlockTransactionCountByHash", [block_hash]
        yield "eth_getBlockReceipts", [number]
        yield "eth_getBlockReceipts", [{"blockHash": block_hash}]
        yield "debug_getRawBlock", [number]
        yield "debug_getRawHeader", [block_hash]
        yield "debug_getRawReceipts", [number]
        yield "eth_getHeaderByNumber", [number]
        yield "eth_getUncleCountByBlockNumber", [number]
    for label in ("earliest", "latest", "safe", "finalized", "pending"):
        yield "eth_getBlockByNumber", [label, True]
        yield "eth_getBlockTransactionCountByNumber", [label]
    yield "eth_getBlockByNumber", [hex(10**6), True]
    yield "eth_getBlockByHash", ["0x" + "ab" * 32, True]
    yield "eth_getBlockReceipts", [hex(10**6)]
    yield "eth_getBlockReceipts", ["pending"]
    yield "eth_blockNumber", []
    yield "eth_chainId", []
    yield "net_version", []
    yield "eth_syncing", []
    yield "eth_accounts", []
    yield "web3_sha3", ["0x1234"]


def about_transactions(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """Transactions and receipts."""
    for block in blocks:
        number, block_hash = hex(block.payload.number), to_data(block.hash)
        for index, raw in enumerate(block.payload.transactions):
            name = to_data(keccak256(raw))
            yield "eth_getTransactionByHash", [name]
            yield "eth_getTransactionByBlockNumberAndIndex", [number, hex(index)]
            yield "eth_getTransactionByBlockHashAndIndex", [block_hash, hex(index)]
            yield "eth_getTransactionReceipt", [name]
            yield "debug_getRawTransaction", [name]
            yield "eth_getRawTransactionByHash", [name]
        yield "eth_getTransactionByBlockNumberAndIndex", [number, hex(len(block.payload.transactions))]
    yield "eth_getTransactionByHash", ["0x" + "ab" * 32]
    yield "eth_getTransactionReceipt", ["0x" + "ab" * 32]


def about_state(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """Accounts, storage and proofs, at some blocks."""
    addresses = sorted({*PREDEPLOYS, NOBODY, *_addresses(blocks)})
    some = [blocks[0], blocks[len(blocks) // 2], blocks[-1]]
    for block in some:
        number = hex(block.payload.number)
        for address in addresses:
            yield "eth_getBalance", [address, number]
            yield "eth_getTransactionCount", [address, number]
            yield "eth_getCode", [address, {"blockHash": to_data(block.hash)}]
            yield "eth_getProof", [address, ["0x0", "0x" + "00" * 31 + "03"], number]
        for slot in range(9):
            yield "eth_getStorageAt", [PREDEPLOYS[1], hex(slot), number]
    yield "eth_getBalance", [addresses[0], "latest"]
    yield "eth_getTransactionCount", [addresses[0], "pending"]
    yield "eth_getStorageAt", [NOBODY, "0x" + "00" * 32, "latest"]
    yield "eth_getBalance", [NOBODY, hex(10**6)]
    yield "eth_getBalance", [NOBODY, {"blockHash": "0x" + "ab" * 32}]
    yield "eth_getProof", [NOBODY, ["0x" + "00" * 33], "latest"]
    yield "eth_getBalance", ["0x1234", "latest"]


def about_calls(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """The chain's own transactions as calls, on the block before and on the latest one."""
    for block in blocks:
        for raw in block.payload.transactions:
            call = _call_of(raw)
            if call is None:
                continue
            for name in (hex(block.payload.number - 1), "latest"):
                yield "eth_call", [call, name]
                yield "eth_estimateGas", [call, name]
                yield "eth_createAccessList", [call, name]
                yield "debug_traceCall", [call, name, CALL_TRACER]


def about_suppositions(sender: str) -> Iterator[Question]:
    """Calls on states and blocks as somebody would like to have them."""
    reads_all = "0x4360005260426020524660405247606052486080525a600010153460a05260c06000f3"
    reverts = "0x6308c379a060e01b600052602060045260056024526468656c6c6f60d81b60445260646000fd"
    panics = "0x634e487b7160e01b600052601160045260246000fd"
    stores = "0x60003560005560016001556000545f5260205ff3"
    target = "0x" + "c0" * 20
    for code in (reads_all, reverts, panics, stores, "0xfe", "0x0c", "0x5b600056", "0x600056", "0x01", "0x60005ffd"):
        accounts = {target: {"code": code, "balance": "0x1234", "nonce": "0x5"}, sender: {"balance": hex(10**20)}}
        call = {"from": sender, "to": target, "data": "0x" + "00" * 31 + "07", "value": "0x1", "gas": hex(MOST_GAS)}
        for method in ("eth_call", "eth_estimateGas"):
            yield method, [call, "latest", accounts]
            yield method, [{**call, "gas": "0x5300"}, "latest", accounts]
            yield method, [{**call, "gasPrice": hex(10**9)}, "latest", accounts]
            yield method, [{**call, "maxFeePerGas": hex(10**11), "maxPriorityFeePerGas": "0x1"}, "latest", accounts]
        values = {"number": "0x1234", "time": hex(2 * 10**9), "baseFeePerGas": "0x7", "feeRecipient": NOBODY}
        yield "eth_call", [call, "latest", accounts, values]
        yield "eth_createAccessList", [call, "latest"]
        traced = {"stateOverrides": accounts}
        yield "debug_traceCall", [{**call, "gas": "0x186a0"}, "latest", {**traced, **CALL_TRACER}]
        yield "debug_traceCall", [{**call, "gas": "0x186a0"}, "latest", {**traced, **FULL_STEPS}]
    slots = {"0x" + "00" * 32: "0x" + "00" * 31 + "2a"}
    reads = "0x5f545f5260205ff3"
    for key in ("state", "stateDiff"):
        yield "eth_call", [{"to": target}, "latest", {target: {"code": reads, key: slots}}]
    yield "eth_call", [{"to": target}, "latest", {target: {"code": reads, "state": slots, "stateDiff": slots}}]
    sha256 = "0x" + "00" * 19 + "02"
    moved = {sha256: {"code": reads, "movePrecompileToAddress": target}}
    yield "eth_call", [{"to": target, "data": "0x1234"}, "latest", moved]
    yield "eth_call", [{"to": sha256, "data": "0x1234"}, "latest", moved]
    yield "eth_call", [{"from": NOBODY, "to": target, "value": "0x1"}, "latest"]
    yield "eth_estimateGas", [{"from": NOBODY, "to": target, "value": "0x1"}, "latest"]
    yield "eth_estimateGas", [{"from": NOBODY, "to": target, "value": "0x1", "gasPrice": hex(10**9)}, "latest"]
    yield "eth_call", [{"to": target, "gasPrice": "0x1"}, "latest"]
    yield "eth_call", [{"to": target, "gasPrice": "0x1", "maxFeePerGas": "0x1"}, "latest"]
    yield "eth_call", [{"to": target, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}, "latest"]
    yield "eth_call", [{"to": target, "gas": "0x5207"}, "latest"]
    yield "eth_call", [{"to": target, "chainId": "0x1"}, "latest"]
    yield "eth_call", [{"data": "0x" + "5b" * 50000}, "latest"]
    yield "eth_call", [{"data": "0x60056000f3"}, "latest"]
    yield "eth_estimateGas", [{"data": "0x60056000f3"}]
    yield "eth_estimateGas", [{"to": target, "data": "0x" + "ff" * 1000}]


def about_traces(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """What was executed, as frames and step by step."""
    for block in blocks:
        yield "debug_traceBlockByNumber", [hex(block.payload.number), CALL_TRACER]
        used = 0
        for raw, receipt in zip(block.payload.transactions, block.receipts, strict=True):
            name = to_data(keccak256(raw))
            before, used = used, Receipt.decode(receipt).cumulative_gas_used
            yield "debug_traceTransaction", [name, CALL_TRACER]
            if used - before < SHORT_ENOUGH:
                yield "debug_traceTransaction", [name, {}]
                yield "debug_traceTransaction", [name, FULL_STEPS]


def about_logs(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """Logs by block, address and topic."""
    whole = {"fromBlock": "earliest", "toBlock": "latest"}
    yield "eth_getLogs", [whole]
    yield "eth_getLogs", [{}]
    found = [(block, log) for block in blocks for raw in block.receipts for log in Receipt.decode(raw).logs]
    for block, log in found[:12]:
        address, number = to_data(log.address), hex(block.payload.number)
        topics = [to_data(topic) for topic in log.topics]
        yield "eth_getLogs", [{"blockHash": to_data(block.hash)}]
        yield "eth_getLogs", [{"fromBlock": number, "toBlock": number, "address": address}]
        yield "eth_getLogs", [{**whole, "address": [address, NOBODY]}]
        yield "eth_getLogs", [{**whole, "topics": topics}]
        yield "eth_getLogs", [{**whole, "topics": [None, *topics[1:]]}]
        yield "eth_getLogs", [{**whole, "topics": [[*topics[:1], "0x" + "11" * 32]]}]
        yield "eth_getLogs", [{**whole, "topics": ["0x" + "11" * 32]}]
        yield "eth_getLogs", [{**whole, "topics": [None] * 4}]
    yield "eth_getLogs", [{"blockHash": "0x" + "ab" * 32}]
    yield "eth_getLogs", [{"fromBlock": "0x5", "toBlock": "0x1"}]
    yield "eth_getLogs", [{"fromBlock": "0x1", "toBlock": hex(10**6)}]
    yield "eth_getLogs", [{"fromBlock": "pending"}]
    yield "eth_getLogs", [{"topics": [None] * 5}]


def about_fees(blocks: Sequence[ExpectedBlock]) -> Iterator[Question]:
    """Fees that were paid, and that are suggested."""
    yield "eth_gasPrice", []
    yield "eth_maxPriorityFeePerGas", []
    yield "eth_blobBaseFee", []
    for count in ("0x1", "0x5", 3, "0x400", "0x0"):
        for newest in ("latest", "pending", "earliest", hex(blocks[len(blocks) // 2].payload.number)):
            yield "eth_feeHistory", [count, newest, [0, 10, 50, 99.5, 100]]
            yield "eth_feeHistory", [count, newest, []]
    yield "eth_feeHistory", ["0x1", hex(10**6), []]
    yield "eth_feeHistory", ["0x1", "latest", [50, 10]]
    yield "eth_feeHistory", ["0x1", "latest", [101]]


def _content(raw: bytes) -> Transaction | DepositTransaction | None:
    try:
        return decode_deposit(raw) if is_deposit(raw) else decode_transaction(raw)
    except DecodeError:
        return None


def _addresses(blocks: Sequence[ExpectedBlock]) -> Iterator[str]:
    for block in blocks:
        for raw in block.payload.transactions:
            content = _content(raw)
            if content is not None:
                yield to_data(content.sender)
                if content.to is not None:
                    yield to_data(content.to)


def _call_of(raw: bytes) -> Mapping[str, Any] | None:
    content = _content(raw)
    if content is None:
        return None
    call = {"from": to_data(content.sender), "input": to_data(content.data), "value": hex(content.value)}
    call["gas"] = hex(min(content.gas, MOST_GAS))
    if content.to is not None:
        call["to"] = to_data(content.to)
    return call


async def ask(url: str, questions: Sequence[Question]) -> list[Any]:
    """Results, or error objects, in order."""
    answers: list[Any] = []
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        for batch in _batches(questions):
            body = [
                {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
                for index, (method, params) in enumerate(batch)
            ]
            by_id = {one["id"]: one for one in (await client.post(url, json=body)).json()}
            for index in range(len(batch)):
                answer = by_id[index]
                answers.append({"error": answer["error"]} if "error" in answer else answer["result"])
    return answers


def _batches(questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
    """Batches of questions; traces, whose answers are long, alone."""
    batch: list[Question] = []
    for question in questions:
        batch.append(question)
        if len(batch) == AT_ONCE or question[0].startswith("debug_trace"):
            yield batch
            batch = []
    if batch:
        yield batch
