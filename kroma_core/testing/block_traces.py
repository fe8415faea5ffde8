"""Conformance suite of an engine's optional protocol for provers of Kroma's ZK era.

    class TestMyTraces(BlockTracesSuite):
        def open_engine(self, chain, folder):
            return my_engine(chain, folder)

What a trace says is held against the chain that it is of: roots, proofs, receipts, and the states around the block.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import BlockTrace, BlockTraceRequest, BlockTraces, NoTrace, ProverStep, SeenAccount
from kroma_core.api.shape import shape_problems
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Receipt
from kroma_core.errors import NotFound
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.testing.engine_world import ABSENT, VECTORS, EngineOnRecordedChain, World
from kroma_core.testing.levels import Level, level
from kroma_core.types import ZERO_HASH, Address
from kroma_core.zktrie.accounts import Account

BLOCKS = 4
"""Of the chain that comes with the kit: calls, creations, deposits, and transactions that fail."""
_OPENS_A_FRAME = frozenset((0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA))

_Body = Callable[[World, BlockTraces], Awaitable[None]]


class BlockTracesSuite(EngineOnRecordedChain):
    """Inherit, define `open_engine`, and name the class `Test...`."""

    recording_path: Path = VECTORS / "kroma-zk.json.xz"
    merkle_patricia_path: Path = VECTORS / "kroma-mpt.json.xz"
    """A chain that has no such traces."""

    @level(Level.DECLARED)
    def test_the_engine_has_the_methods_of_the_block_traces_that_it_claims(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert shape_problems(world.engine, BlockTraces) == []

        self.run(body, tmp_path)

    def at_head(self, body: _Body, folder: Path, blocks: int = BLOCKS) -> None:
        async def advanced(world: World) -> None:
            await world.advance(blocks)
            engine: Any = world.engine
            await body(world, engine)

        self.run(advanced, folder, blocks=blocks)

    def test_proofs_hold_in_the_state_before_the_block(self, tmp_path: Path) -> None:
        async def body(world: World, traces: BlockTraces) -> None:
            roots = [block.payload.state_root for block in world.blocks]
            for index, block in enumerate(world.blocks):
                trace = await _traced(traces, block.hash)
                if index:
                    assert trace.root_before == roots[index - 1]
                accounts = _proven(trace)
                assert block.payload.fee_recipient in accounts
                for address, slots in trace.storage_proofs.items():
                    account = accounts[address]
                    for slot, nodes in slots.items():
                        if nodes:
                            proven_word(ZERO_HASH if account is None else account.storage_root, slot, nodes)
                        else:
                            assert account is None

        self.at_head(body, tmp_path)

    def test_what_is_seen_first_is_what_is_proven(self, tmp_path: Path) -> None:
        """Parties of the first transaction, and each slot where the block meets it first."""

        async def body(world: World, traces: BlockTraces) -> None:
            for block in world.blocks:
                trace = await _traced(traces, block.hash)
                accounts = _proven(trace)
                first = trace.transactions[0]
                for seen in (first.sender, first.recipient):
                    if seen is not None:
                        found = accounts[seen.address]
                        assert (seen.nonce, seen.balance, seen.code_hash) == _told(found)
                met: set[tuple[Address, int]] = set()
                for address, (slot, word) in _slots(trace):
                    nodes = trace.storage_proofs[address][slot.to_bytes(32, "big")]
                    account = accounts[address]
                    if (address, slot) not in met and account is not None and nodes:
                        assert word == proven_word(account.storage_root, slot.to_bytes(32, "big"), nodes)
                    met.add((address, slot))
                assert met == {
                    (address, int.from_bytes(slot, "big"))
                    for address, slots in trace.storage_proofs.items()
                    for slot in slots
                }

        self.at_head(body, tmp_path)

    def test_what_is_seen_last_is_what_the_block_left(self, tmp_path: Path) -> None:
        async def body(world: World, traces: BlockTraces) -> None:
            for block in world.blocks:
                trace = await _traced(traces, block.hash)
                for seen in (trace.fee_recipient, *trace.transactions[-1].after):
                    proof = await world.engine.proof(seen.address, (), block.hash)
                    found = proven_account(block.payload.state_root, seen.address, proof.account_proof)
                    assert (seen.nonce, seen.balance) == _told(found)[:2]
                for code_hash, code in trace.recipients.values():
                    assert code_hash == keccak256(code) or (code_hash, code) == (ZERO_HASH, b"")

        self.at_head(body, tmp_path)

    def test_transactions_do_what_their_receipts_say(self, tmp_path: Path) -> None:
        async def body(world: World, traces: BlockTraces) -> None:
            for block in world.blocks:
                trace = await _traced(traces, block.hash)
                receipts = [Receipt.decode(raw) for raw in block.receipts]
                totals = [receipt.cumulative_gas_used for receipt in receipts]
                assert list(itertools.accumulate(done.gas_used for done in trace.transactions)) == totals
                assert [done.failed for done in trace.transactions] == [not receipt.status for receipt in receipts]

        self.at_head(body, tmp_path)

    def test_steps_pay_what_they_say_until_their_frame_ends(self, tmp_path: Path) -> None:
        async def body(world: World, traces: BlockTraces) -> None:
            steps = 0
            for block in world.blocks:
                for done in (await _traced(traces, block.hash)).transactions:
                    steps += len(done.steps)
                    assert [step.depth for step in done.steps[:1]] in ([], [1])
                    for step, following in itertools.pairwise(done.steps):
                        assert following.depth <= step.depth + 1
                        if step.depth == following.depth and step.opcode not in _OPENS_A_FRAME:
                            assert step.gas - step.cost == following.gas
            assert steps, "the chain's blocks run no code"

        self.at_head(body, tmp_path)

    def test_a_trace_has_what_is_asked_for(self, tmp_path: Path) -> None:
        async def body(world: World, traces: BlockTraces) -> None:
            last = world.blocks[-1].hash
            whole = await _traced(traces, last)
            assert await _traced(traces, last) == whole
            steps = sum(len(done.steps) for done in whole.transactions)
            for request in (BlockTraceRequest(most_steps=steps - 1), BlockTraceRequest(most_bytes=1000)):
                refused = await traces.trace_block(last, request)
                assert isinstance(refused, NoTrace)
                assert refused.too_long
            bare = await _traced(traces, last, BlockTraceRequest(stack=False, storage=False, most_steps=steps))
            assert {(step.stack, step.memory, step.storage) for step in _steps(bare)} == {(None, None, None)}
            assert bare.storage_proofs == {}
            full = await _traced(traces, last, BlockTraceRequest(memory=True))
            assert any(step.memory for step in _steps(full))
            assert [attrs.evolve(step, memory=None) for step in _steps(full)] == list(_steps(whole))

        self.at_head(body, tmp_path)

    def test_blocks_without_a_trace_are_refused_with_the_reason(self, tmp_path: Path) -> None:
        """Genesis, and blocks whose state is in Merkle-Patricia tries; a block that is not there is not found."""

        async def body(world: World, traces: BlockTraces) -> None:
            with pytest.raises(NotFound):
                await traces.trace_block(ABSENT, BlockTraceRequest())
            for block_hash in (world.genesis, world.blocks[0].hash):
                refused = await traces.trace_block(block_hash, BlockTraceRequest())
                assert isinstance(refused, NoTrace)
                assert refused.reason
                assert not refused.too_long

        self.recording_path = self.merkle_patricia_path
        self.at_head(body, tmp_path, blocks=1)


async def _traced(traces: BlockTraces, block_hash: bytes, wanted: BlockTraceRequest | None = None) -> BlockTrace:
    found = await traces.trace_block(block_hash, wanted or BlockTraceRequest())
    assert isinstance(found, BlockTrace), found
    return found


def _proven(trace: BlockTrace) -> dict[Address, Account | None]:
    return {address: proven_account(trace.root_before, address, nodes) for address, nodes in trace.proofs.items()}


def _told(account: Account | None) -> tuple[int, int, bytes]:
    return (0, 0, ZERO_HASH) if account is None else (account.nonce, account.balance, account.code_hash)


def _steps(trace: BlockTrace) -> Iterator[ProverStep]:
    for done in trace.transactions:
        yield from done.steps


def _slots(trace: BlockTrace) -> Iterator[tuple[Address, tuple[int, int]]]:
    for step in _steps(trace):
        accounts: tuple[SeenAccount, ...] = () if step.witness is None else step.witness.accounts
        for seen in accounts:
            if seen.slot is not None:
                yield seen.address, seen.slot
