"""Conformance suites of an engine's optional protocols: state queries, and the transaction pool.

    class TestMyQueries(StateQueriesSuite):
        recording_path = Path("plain-jovian.json.xz")
        def open_engine(self, chain, folder):
            return my_engine(chain, folder)

They begin where `EngineSuite` does: at genesis of a recorded chain.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import CallFailure, MessageCall, Ran, Refusal, Refused, Supposition, TraceRequest, TransactionPlace
from kroma_core.api.queries import AccountOverride, StateQueries, TxPool
from kroma_core.api.shape import shape_problems
from kroma_core.codec.headers import EMPTY_ROOT
from kroma_core.codec.keccak import EMPTY_HASH, keccak256
from kroma_core.codec.receipts import Receipt
from kroma_core.codec.rlp import decode_list
from kroma_core.codec.trie_proof import proven
from kroma_core.errors import NotFound
from kroma_core.testing.engine import impossible_transactions
from kroma_core.testing.engine_world import ABSENT, BLOCKS, EngineOnRecordedChain, World
from kroma_core.testing.levels import Level, level
from kroma_core.types import L2Number

TARGET = b"\xc0" * 20
RETURNS_WHAT_IT_GOT = bytes.fromhex("366000600037366000f3")
REVERTS_WITH_WHAT_IT_GOT = bytes.fromhex("366000600037366000fd")


def _with_code(code: bytes) -> Supposition:
    return Supposition(accounts={TARGET: AccountOverride(code=code)})


class _AtHead(EngineOnRecordedChain):
    """An engine whose head is the last of the recorded blocks that the suites use."""

    def at_head(self, body: Callable[[World, Any], Awaitable[None]], folder: Path) -> None:
        async def advanced(world: World) -> None:
            await world.advance(BLOCKS)
            await body(world, world.engine)

        self.run(advanced, folder)


class StateQueriesSuite(_AtHead):
    """Inherit, define `open_engine`, and name the class `Test...`."""

    @level(Level.DECLARED)
    def test_the_engine_has_the_methods_of_the_state_queries_that_it_claims(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert shape_problems(world.engine, StateQueries) == []

        self.run(body, tmp_path)

    def test_headers_hash_to_the_blocks(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            hashes = [world.genesis, *(block.hash for block in world.blocks)]
            found = await queries.headers(L2Number(0), 100)
            assert [block_hash for block_hash, _ in found] == hashes
            assert [header.hash for _, header in found] == hashes
            for number, block_hash in enumerate(hashes):
                assert await queries.canonical(L2Number(number)) == block_hash
                assert (await queries.header(block_hash)).number == number
            assert await queries.canonical(L2Number(BLOCKS + 1)) is None

        self.at_head(body, tmp_path)

    def test_transactions_are_found_while_their_block_is_canonical(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            last = world.blocks[-1]
            for block in world.blocks:
                for index, raw in enumerate(block.payload.transactions):
                    place = TransactionPlace(block_hash=block.hash, number=block.payload.number, index=index)
                    assert await queries.locate(keccak256(raw)) == place
            await world.engine.build(last.payload.parent_hash, last.attributes, world.heads(BLOCKS - 1))
            await world.engine.set_heads(world.heads(BLOCKS - 1))
            assert await queries.locate(ABSENT) is None

        self.at_head(body, tmp_path)

    def test_receipts_are_those_of_the_root_but_for_nonces(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            for block in world.blocks:
                stored = [Receipt.decode(raw) for raw in await queries.stored_receipts(block.hash)]
                assert tuple(receipt.encode() for receipt in stored) == block.receipts

        self.at_head(body, tmp_path)

    def test_accounts_are_those_of_the_state_root(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            block = world.blocks[-1].payload
            recipient = block.fee_recipient
            for address in (recipient, TARGET):
                account = await queries.account(address, block.hash)
                proof = await world.engine.proof(address, [bytes(32)], block.hash)
                raw = proven(block.state_root, keccak256(address), proof.account_proof)
                expected = [] if raw is None else decode_list(raw)
                numbers = [int.from_bytes(item, "big") for item in expected[:2] if isinstance(item, bytes)]
                assert [account.nonce, account.balance] == (numbers or [0, 0])
                assert account.code_hash == (expected[3] if expected else EMPTY_HASH)
                code = await queries.code(address, block.hash)
                assert keccak256(code) == account.code_hash
                if proof.storage_root == EMPTY_ROOT:
                    assert await queries.storage(address, 0, block.hash) == 0

        self.at_head(body, tmp_path)

    def test_calls_run_on_what_is_supposed_and_change_nothing(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            head = world.blocks[-1].hash
            call = MessageCall(sender=b"\xa1" * 20, to=TARGET, gas=100_000, data=b"hello")
            done = await queries.call(call, head, _with_code(RETURNS_WHAT_IT_GOT))
            assert isinstance(done, Ran)
            assert (done.output, done.failure) == (b"hello", None)
            assert 21_000 < done.gas_used <= done.peak_gas < 100_000
            undone = await queries.call(call, head, _with_code(REVERTS_WITH_WHAT_IT_GOT))
            assert isinstance(undone, Ran)
            assert (undone.output, undone.failure) == (b"hello", CallFailure.REVERTED)
            nothing = await queries.call(call, head, Supposition())
            assert isinstance(nothing, Ran)
            assert nothing.output == b""
            assert await queries.code(TARGET, head) == b""

        self.at_head(body, tmp_path)

    def test_calls_that_cannot_begin_are_refused(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            head = world.blocks[-1].hash
            good = MessageCall(sender=TARGET, to=TARGET, gas=100_000)
            for call, cause in (
                (attrs.evolve(good, gas=20_000), Refusal.INTRINSIC_GAS),
                (attrs.evolve(good, value=10**30), Refusal.FUNDS),
                (attrs.evolve(good, max_fee=1, max_priority_fee=2), Refusal.TIP_ABOVE_FEE),
            ):
                refused = await queries.call(call, head, Supposition())
                assert isinstance(refused, Refused)
                assert refused.cause is cause

        self.at_head(body, tmp_path)

    def test_traces_use_the_gas_that_the_receipts_say(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            for block in world.blocks:
                count = len(block.payload.transactions)
                traces = await queries.trace_transactions(block.hash, 0, count, TraceRequest(most_steps=100))
                totals = [0, *(Receipt.decode(raw).cumulative_gas_used for raw in block.receipts)]
                used = [after - before for before, after in itertools.pairwise(totals)]
                if Receipt.decode(block.receipts[0]).deposit_version is not None:
                    assert [trace.gas_used for trace in traces] == used
                assert [trace.calls[0].depth for trace in traces] == [0] * count

        self.at_head(body, tmp_path)

    def test_queries_about_blocks_that_are_not_there_find_nothing(self, tmp_path: Path) -> None:
        async def body(world: World, queries: StateQueries) -> None:
            call = MessageCall(sender=TARGET, to=TARGET, gas=100_000)
            for ask in (
                lambda: queries.header(ABSENT),
                lambda: queries.stored_receipts(ABSENT),
                lambda: queries.account(TARGET, ABSENT),
                lambda: queries.code(TARGET, ABSENT),
                lambda: queries.storage(TARGET, 0, ABSENT),
                lambda: queries.call(call, ABSENT, Supposition()),
                lambda: queries.trace_transactions(ABSENT, 0, 1, TraceRequest()),
            ):
                with pytest.raises(NotFound):
                    await ask()

        self.at_head(body, tmp_path)


class TxPoolSuite(_AtHead):
    """Inherit, define `open_engine`, and name the class `Test...`."""

    @level(Level.DECLARED)
    def test_the_engine_has_the_methods_of_the_pool_that_it_claims(self, tmp_path: Path) -> None:
        async def body(world: World) -> None:
            assert shape_problems(world.engine, TxPool) == []

        self.run(body, tmp_path)

    def test_transactions_that_no_block_can_hold_are_refused(self, tmp_path: Path) -> None:
        async def body(world: World, pool: TxPool) -> None:
            for name, raw in impossible_transactions(world.chain.rollup.l2_chain_id):
                assert isinstance(await pool.add_transaction(raw), Refused), name
                assert await pool.pooled_transaction(keccak256(raw)) is None
            deposit = world.blocks[0].payload.transactions[0]
            assert isinstance(await pool.add_transaction(deposit), Refused)
            content = await pool.pool_content()
            assert (content.pending, content.queued) == ({}, {})
            assert await pool.pool_counts() == (0, 0)

        self.at_head(body, tmp_path)

    def test_transactions_of_the_chain_are_not_taken_again(self, tmp_path: Path) -> None:
        async def body(world: World, pool: TxPool) -> None:
            for block in world.blocks:
                for raw in block.payload.transactions:
                    assert isinstance(await pool.add_transaction(raw), Refused)

        self.at_head(body, tmp_path)

    def test_transactions_of_blocks_that_are_left_come_back(self, tmp_path: Path) -> None:
        async def body(world: World, pool: TxPool) -> None:
            assert (await pool.pool_arrivals(0)).hashes == ()
            await world.engine.set_heads(world.heads(1))
            await trio.lowlevel.checkpoint()
            if (await world.engine.heads()).unsafe != world.heads(1).unsafe:
                return  # it goes back by building alone
            gone = {raw for block in world.blocks[1:] for raw in block.payload.transactions if raw[0] != 0x7E}
            content = await pool.pool_content()
            found = {raw for raws in (*content.pending.values(), *content.queued.values()) for raw in raws}
            assert found <= gone
            for raw in found:
                assert await pool.pooled_transaction(keccak256(raw)) == raw
            assert await pool.pool_counts() == (
                sum(map(len, content.pending.values())),
                sum(map(len, content.queued.values())),
            )
            for sender, raws in content.pending.items():
                head = await world.engine.heads()
                queries: Any = world.engine
                before = (await queries.account(sender, head.unsafe)).nonce
                assert await pool.pooled_nonce(sender) == before + len(raws)

        self.at_head(body, tmp_path)
