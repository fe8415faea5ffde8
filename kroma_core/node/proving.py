"""Proofs asked of an engine that has executed a chain: of withdrawals, and of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kroma_core.api import BlockTraceRequest, BlockTraces, ExecutionEngine, NoTrace
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.passed_messages import MESSAGE_PASSED, PassedMessage
from kroma_core.codec.payloads import header_of
from kroma_core.codec.receipts import Receipt
from kroma_core.errors import ConfigError, NotFound
from kroma_core.forks import StateCommitment
from kroma_core.l2 import L2Label, Payload
from kroma_core.node.eth.block_trace_shapes import block_trace_json
from kroma_core.node.eth.blocks import KnownBlock, KnownTransaction
from kroma_core.proofs.account import AccountStateProof, SlotProof
from kroma_core.proofs.withdrawal import WithdrawalProof
from kroma_core.types import Address, Hash32, L2Number


async def find_transaction(chain: ChainConfig, engine: ExecutionEngine, tx: Hash32) -> tuple[Payload, int]:
    """The block of the canonical chain that holds a transaction, and its place there. Raises `NotFound`.

    Looks through the blocks from the head down: an engine need not know transactions by their hashes.
    """
    head = await engine.block(L2Label.UNSAFE)
    for number in range(head.number, chain.rollup.genesis.l2.number, -1):
        block = head if number == head.number else await engine.block(L2Number(number))
        for place, raw in enumerate(block.transactions):
            if keccak256(raw) == tx:
                return block, place
    raise NotFound(f"transaction 0x{tx.hex()}: not in the chain up to block {head.number}")


async def prove_withdrawal(
    chain: ChainConfig,
    engine: ExecutionEngine,
    tx: Hash32,
    *,
    which: int | None = None,
    at: L2Number | None = None,
) -> WithdrawalProof:
    """Proof of a withdrawal that a transaction made, in the output of block `at`: by default of its own block.

    `which` chooses among several of one transaction, from 0 on. Raises `NotFound` for an unknown transaction or block
    (over a ZK trie the block after it is needed, too), `ConfigError` where there is nothing to prove, or a choice.
    """
    block, place = await find_transaction(chain, engine, tx)
    passer = MESSAGE_PASSER[chain.rollup.family]
    receipt = Receipt.decode((await engine.receipts(block.hash))[place])
    messages = [
        PassedMessage.of_log(log)
        for log in receipt.logs
        if log.address == passer and log.topics[:1] == (MESSAGE_PASSED,)
    ]
    where = f"transaction 0x{tx.hex()} in block {block.number}"
    if not messages:
        raise ConfigError(f"{where}: it withdraws nothing{'' if receipt.status else ' (it failed)'}")
    if which is None and len(messages) > 1:
        raise ConfigError(f"{where}: it makes {len(messages)} withdrawals; choose one from 0 to {len(messages) - 1}")
    if which is not None and which >= len(messages):
        raise ConfigError(f"{where}: expected a withdrawal from 0 to {len(messages) - 1}, got {which}")
    message = messages[which or 0]
    if at is not None:
        if at < block.number:
            raise ConfigError(f"{where}: the output of block {at} comes before it")
        block = await engine.block(at)
    following = None
    if chain.rollup.schedule.at(block.timestamp).state is StateCommitment.ZK_TRIE:
        following = await _hash_after(engine, block, where)
    found = await engine.proof(passer, (message.slot,), block.hash)
    return WithdrawalProof(
        message=message,
        message_passer=passer,
        header=header_of(block),
        next_block_hash=following,
        account_proof=found.account_proof,
        storage_proof=found.storage[0][2],
    )


async def _hash_after(engine: ExecutionEngine, block: Payload, where: str) -> Hash32:
    try:
        return (await engine.block(L2Number(block.number + 1))).hash
    except NotFound as error:
        raise NotFound(
            f"{where}: the output of block {block.number} names block {block.number + 1}, which is not there yet"
        ) from error


async def prove_account(
    engine: ExecutionEngine, address: Address, slots: Sequence[Hash32], number: L2Number
) -> AccountStateProof:
    """Proof of an account and of slots of its storage in the state after a block. Raises `NotFound`."""
    block = await engine.block(number)
    found = await engine.proof(address, slots, block.hash)
    return AccountStateProof(
        address=address,
        header=header_of(block),
        account_proof=found.account_proof,
        slots=tuple([SlotProof(slot=slot, nodes=nodes) for slot, _, nodes in found.storage]),
    )


async def trace_for_prover(
    chain: ChainConfig, engine: ExecutionEngine, traces: BlockTraces, number: L2Number
) -> dict[str, Any]:
    """The trace of a block of Kroma's ZK era as kroma-prover reads it; `traces` is the engine as far as it makes them.

    Raises `NotFound` for an unknown block, `ConfigError` for one that has no such trace.
    """
    block = await engine.block(number)
    trace = await traces.trace_block(block.hash, BlockTraceRequest())
    if isinstance(trace, NoTrace):
        raise ConfigError(trace.reason)
    rules = chain.rollup.schedule.at(block.timestamp)
    known = KnownBlock(
        hash=block.hash,
        header=header_of(block),
        transactions=tuple([KnownTransaction.decode(raw, rules) for raw in block.transactions]),
    )
    return block_trace_json(trace, known, chain.rollup.l2_chain_id)
