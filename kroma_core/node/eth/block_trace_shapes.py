"""Block traces in the form that kroma-prover reads.

Spec: kroma-geth, core/types/l2trace.go; kroma-prover, zkevm, "traces".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from kroma_core.api import BlockTrace, ProverStep, ProverTransaction, SeenAccount, StepWitness
from kroma_core.codec.deposits import DepositTransaction
from kroma_core.codec.hexadecimal import to_data, to_quantity
from kroma_core.codec.transactions import LEGACY
from kroma_core.node.eth.blocks import KnownBlock, KnownTransaction
from kroma_core.node.eth.shapes import JsonObject, access_list_json, effective_price, header_json, to_checksum
from kroma_core.types import ZERO_HASH

VERSION: Final = "0.1.0-unstable"
"""The version of kroma-geth whose traces have this form: provers are given it."""
_AT_ONCE: Final = 1000
_LATER_HEADER_FIELDS: Final = (
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
)


Shown = Callable[[Sequence[ProverStep]], Any]


def block_trace_json(trace: BlockTrace, block: KnownBlock, chain_id: int, steps: Shown | None = None) -> JsonObject:
    """The whole trace of a block whose senders are known. `steps` may say in which form the steps go into it."""
    shown = steps or listed_steps
    header: JsonObject = {**dict.fromkeys(_LATER_HEADER_FIELDS), **header_json(block.header, block.hash)}
    storage: JsonObject = {
        "rootBefore": to_data(trace.root_before),
        "rootAfter": to_data(block.header.state_root),
        "proofs": {to_checksum(address): _nodes(proof) for address, proof in trace.proofs.items()},
    }
    if trace.storage_proofs:
        storage["storageProofs"] = {
            to_checksum(address): {to_data(slot): _nodes(proof) for slot, proof in slots.items()}
            for address, slots in trace.storage_proofs.items()
        }
    return {
        "chainID": chain_id,
        "version": VERSION,
        "coinbase": _account(trace.fee_recipient),
        "header": header,
        "transactions": [_transaction(transaction, block) for transaction in block.transactions],
        "storageTrace": storage,
        "executionResults": [
            _result(done, transaction, trace) | {"structLogs": shown(done.steps)}
            for done, transaction in zip(trace.transactions, block.transactions, strict=True)
        ],
    }


def _nodes(proof: Sequence[bytes]) -> list[str]:
    return [to_data(node) for node in proof]


def _word(word: int) -> str:
    return f"0x{word:064x}"


def _transaction(transaction: KnownTransaction, block: KnownBlock) -> JsonObject:
    content = transaction.content
    found: JsonObject = {
        "type": transaction.type,
        "nonce": 0,
        "txHash": to_data(transaction.hash),
        "gas": content.gas,
        "gasPrice": "0x0",
        "maxPriorityFeePerGas": "0x0",
        "maxFeePerGas": "0x0",
        "from": to_data(transaction.sender),
        "to": None if content.to is None else to_data(content.to),
        "chainId": "0x0",
        "mint": None,
        "value": to_quantity(content.value),
        "data": to_data(content.data),
        "isCreate": content.to is None,
        "sourceHash": to_data(ZERO_HASH),
        "accessList": None,
        "v": "0x0",
        "r": "0x0",
        "s": "0x0",
    }
    if isinstance(content, DepositTransaction):
        return found | {"mint": to_quantity(content.mint), "sourceHash": to_data(content.source_hash)}
    price = effective_price(content, block.base_fee) if content.gas_price is None else content.gas_price
    return found | {
        "nonce": content.nonce,
        "gasPrice": to_quantity(price),
        "maxPriorityFeePerGas": to_quantity(content.max_priority_fee),
        "maxFeePerGas": to_quantity(content.max_fee),
        "chainId": to_quantity(content.chain_id or 0),
        "accessList": None if content.type == LEGACY else access_list_json(content.access_list),
        "v": to_quantity(content.v),
        "r": to_quantity(content.r),
        "s": to_quantity(content.s),
    }


def _result(done: ProverTransaction, transaction: KnownTransaction, trace: BlockTrace) -> JsonObject:
    content = transaction.content
    found: JsonObject = {
        "gas": done.gas_used,
        "failed": done.failed,
        "returnValue": done.output.hex(),
        "from": _account(done.sender),
    }
    if done.recipient is not None:
        found["to"] = _account(done.recipient)
    if done.created is not None:
        found["accountCreated"] = _account(done.created)
    found["accountAfter"] = [_account(account) for account in done.after]
    if content.to is None:
        found["byteCode"] = to_data(content.data)
    elif content.data:
        code_hash, code = trace.recipients[content.to]
        found |= {"codeHash": to_data(code_hash), "byteCode": to_data(code)}
    return found


def listed_steps(steps: Sequence[ProverStep]) -> list[JsonObject]:
    return [_step(step) for step in steps]


def written_steps(steps: Sequence[ProverStep]) -> orjson.Fragment:
    """The same as JSON text, made piece by piece: objects of a long trace take many times their text."""
    pieces = [orjson.dumps(listed_steps(steps[at : at + _AT_ONCE]))[1:-1] for at in range(0, len(steps), _AT_ONCE)]
    return orjson.Fragment(b"[%b]" % b",".join(pieces))


def _account(seen: SeenAccount) -> JsonObject:
    found: JsonObject = {
        "address": to_data(seen.address),
        "nonce": seen.nonce,
        "balance": to_quantity(seen.balance),
        "codeHash": to_data(seen.code_hash),
    }
    if seen.slot is not None:
        found["storage"] = {"key": _word(seen.slot[0]), "value": _word(seen.slot[1])}
    return found


def _step(step: ProverStep) -> JsonObject:
    found: JsonObject = {
        "pc": step.pc,
        "op": step.name,
        "gas": step.gas,
        "gasCost": step.cost,
        "depth": step.depth,
    }
    if step.failure is not None:
        found["error"] = step.failure
    if step.stack:
        found["stack"] = [to_quantity(word) for word in step.stack]
    if step.memory:
        found["memory"] = [step.memory[start : start + 32].hex() for start in range(0, len(step.memory), 32)]
    if step.storage:
        found["storage"] = {_word(slot): _word(word) for slot, word in step.storage}
    if step.refund:
        found["refund"] = step.refund
    if step.witness is not None:
        found["extraData"] = _witness(step.witness)
    return found


def _witness(witness: StepWitness) -> JsonObject:
    found: JsonObject = {"callFailed": True} if witness.call_failed else {}
    if witness.codes:
        found["codeList"] = [to_data(code) for code in witness.codes]
    if witness.accounts:
        found["proofList"] = [_account(account) for account in witness.accounts]
    if witness.caller:
        found["caller"] = [_account(account) for account in witness.caller]
    return found
