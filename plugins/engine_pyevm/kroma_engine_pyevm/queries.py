"""State queries over the chain store: reads, calls, and traces of what was executed.

Bytecode of queries runs in a thread, on a state of its own, and is stopped when its time is over: the node goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import trio

from kroma_core.api import (
    AccountState,
    BlockTrace,
    BlockTraceRequest,
    CallOutcome,
    MessageCall,
    NoTrace,
    Refused,
    Supposition,
    Trace,
    TracedCall,
    TraceRequest,
    TransactionPlace,
)
from kroma_core.chain.config import RollupConfig
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.payloads import payload_from_header
from kroma_core.codec.transactions import decode_transaction
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.types import ZERO_ADDRESS, Address, Hash32, L2Number
from kroma_engine_pyevm.block_traces import trace_block
from kroma_engine_pyevm.blocks import BlockPlan, apply, open_block, plain_block, plan_of_payload
from kroma_engine_pyevm.chain import ChainStore
from kroma_engine_pyevm.frames import Machine
from kroma_engine_pyevm.simulation import ObservedState, environment_of, simulate
from kroma_engine_pyevm.state import WorldState
from kroma_engine_pyevm.state_tries import StateTrie
from kroma_engine_pyevm.watching import Stopwatch, Tracer

_AT_ONCE = 1
"""Queries that run bytecode at the same time: they share one core with the node."""
_MOST_HEADERS = 4096

T = TypeVar("T")


class ChainQueries:
    """What an engine's chain holds and what calls on it would do.

    `seconds` is what a call may take, `trace_seconds` a block's trace for a prover.
    """

    def __init__(self, config: RollupConfig, store: ChainStore, seconds: float, trace_seconds: float = 60.0) -> None:
        self._config = config
        self._store = store
        self._seconds = seconds
        self._trace_seconds = trace_seconds
        self._threads = trio.CapacityLimiter(_AT_ONCE)

    def _header(self, block_hash: Hash32) -> Header:
        header = self._store.header(block_hash)
        if header is None:
            raise NotFound(f"the engine has no block 0x{block_hash.hex()}")
        return header

    async def header(self, block_hash: Hash32) -> Header:
        await trio.lowlevel.checkpoint()
        return self._header(block_hash)

    async def headers(self, first: L2Number, count: int) -> Sequence[tuple[Hash32, Header]]:
        await trio.lowlevel.checkpoint()
        found = []
        for number in range(first, first + min(count, _MOST_HEADERS)):
            block_hash = self._store.canonical(number)
            if block_hash is None:
                break
            found.append((block_hash, self._header(block_hash)))
        return found

    async def canonical(self, number: L2Number) -> Hash32 | None:
        await trio.lowlevel.checkpoint()
        return self._store.canonical(number)

    async def locate(self, transaction_hash: Hash32) -> TransactionPlace | None:
        await trio.lowlevel.checkpoint()
        return self._store.locate(transaction_hash)

    async def stored_receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        self._header(block_hash)
        return self._store.stored_receipts(block_hash) or ()

    # --- state

    def _state_after(self, block_hash: Hash32) -> WorldState:
        return self._store.state_after(self._header(block_hash), self._config.schedule)

    def _trie_at(self, header: Header) -> StateTrie:
        return self._store.trie_of(self._config.schedule.at(header.timestamp))

    async def account(self, address: Address, block_hash: Hash32) -> AccountState:
        await trio.lowlevel.checkpoint()
        account = self._state_after(block_hash).account(address)
        return AccountState(nonce=account.nonce, balance=account.balance, code_hash=account.code_hash)

    async def code(self, address: Address, block_hash: Hash32) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._state_after(block_hash).get_code(address)

    async def storage(self, address: Address, slot: int, block_hash: Hash32) -> int:
        await trio.lowlevel.checkpoint()
        return self._state_after(block_hash).get_storage(address, slot)

    # --- calls

    async def call(self, call: MessageCall, block_hash: Hash32, supposition: Supposition) -> CallOutcome:
        header = self._header(block_hash)

        def run(watch: Stopwatch) -> CallOutcome:
            return self._simulated(call, header, block_hash, supposition, watch.on)

        return await self._in_thread(run)

    async def trace_call(
        self, call: MessageCall, block_hash: Hash32, supposition: Supposition, wanted: TraceRequest
    ) -> Trace | Refused:
        header = self._header(block_hash)

        def run(watch: Stopwatch) -> Trace | Refused:
            tracer = Tracer(wanted)
            outcome = self._simulated(
                call, header, block_hash, supposition, lambda machine: watch.on(tracer.on(machine))
            )
            return outcome if isinstance(outcome, Refused) else _trace(tracer, call.gas, outcome.gas_used)

        return await self._in_thread(run)

    def _simulated(
        self,
        call: MessageCall,
        header: Header,
        block_hash: Hash32,
        supposition: Supposition,
        watched: Callable[[Machine], Machine],
    ) -> CallOutcome:
        state = ObservedState(self._trie_at(header), header.state_root, self._store.code)
        environment = environment_of(
            header, self._config, lambda number: self._store.ancestor(block_hash, number), supposition.block
        )
        return simulate(state, environment, call, supposition, watched)

    async def trace_transactions(
        self, block_hash: Hash32, first: int, count: int, wanted: TraceRequest
    ) -> tuple[Trace, ...]:
        header = self._header(block_hash)
        transactions = self._store.transactions(block_hash)

        def run(watch: Stopwatch) -> tuple[Trace, ...]:
            plan, state = self._again(header, block_hash, transactions)
            block = open_block(plan, state, self._config, self._ancestors_of(plan))
            plain = block.machine = watch.on(block.machine)
            traces = []
            for index, raw in enumerate(transactions[: first + count]):
                watch.check()
                if index < first:
                    apply(block, raw)
                    continue
                tracer = Tracer(wanted)
                block.machine = tracer.on(plain)
                done = apply(block, raw)
                gas = decode_deposit(raw, legacy=plan.rules.legacy_deposits).gas if is_deposit(raw) else None
                traces.append(_trace(tracer, decode_transaction(raw).gas if gas is None else gas, done.gas_used))
            return tuple(traces)

        return await self._in_thread(run)

    async def trace_block(self, block_hash: Hash32, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        header = self._header(block_hash)
        if header.number == self._config.genesis.l2.number:
            return NoTrace(reason="genesis is not traceable")
        transactions = self._store.transactions(block_hash)

        def run(watch: Stopwatch) -> BlockTrace | NoTrace:
            plan, state = self._again(header, block_hash, transactions)
            block = plain_block(plan, state, self._config, self._ancestors_of(plan))
            return trace_block(block, transactions, wanted, watch)

        return await self._in_thread(run, self._trace_seconds)

    def _again(
        self, header: Header, block_hash: Hash32, transactions: tuple[bytes, ...]
    ) -> tuple[BlockPlan, WorldState]:
        """The plan of a block that is here, and the state that it begins with."""
        parent = self._header(header.parent_hash)
        payload = payload_from_header(header, block_hash, transactions)
        plan = plan_of_payload(parent, header.parent_hash, payload, self._config)
        return plan, self._store.state_before(plan.rules, parent, self._config.schedule)

    def _ancestors_of(self, plan: BlockPlan) -> Callable[[int], Hash32]:
        return lambda number: self._store.ancestor(plan.parent_hash, number)

    async def _in_thread(self, run: Callable[[Stopwatch], T], seconds: float | None = None) -> T:
        watch = Stopwatch(self._seconds if seconds is None else seconds)

        def timed() -> T:
            watch.begin()
            return run(watch)

        try:
            return await trio.to_thread.run_sync(timed, limiter=self._threads, abandon_on_cancel=True)
        except RecursionError as error:
            raise TemporaryError("the call is nested too deeply for the interpreter") from error
        finally:
            watch.stopped = True


def _trace(tracer: Tracer, gas: int, gas_used: int) -> Trace:
    calls = tracer.calls
    if calls:
        calls = (attrs.evolve(calls[0], gas=gas, gas_used=gas_used), *calls[1:])
    else:
        calls = (
            TracedCall(
                depth=0,
                kind="STOP",
                sender=ZERO_ADDRESS,
                to=None,
                value=None,
                gas=0,
                gas_used=gas_used,
                input=b"",
                output=b"",
            ),
        )
    return Trace(calls=calls, gas_used=gas_used, steps=tuple(tracer.steps), complete=tracer.complete)
