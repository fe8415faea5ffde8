"""The kit finds what it is there to find: each planted fault of block traces turns its tests red, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import BlockTrace, BlockTraceRequest, NoTrace, ProverStep, ProverTransaction, Role
from kroma_core.chain.config import ChainConfig
from kroma_core.testing.block_traces import BlockTracesSuite
from tests.contract.offers import opened
from tests.contract.planted import red_tests

PROOFS = "test_proofs_hold_in_the_state_before_the_block"
FIRST = "test_what_is_seen_first_is_what_is_proven"
LAST = "test_what_is_seen_last_is_what_the_block_left"
RECEIPTS = "test_transactions_do_what_their_receipts_say"
STEPS = "test_steps_pay_what_they_say_until_their_frame_ends"
ASKED = "test_a_trace_has_what_is_asked_for"
REFUSED = "test_blocks_without_a_trace_are_refused_with_the_reason"


class Right:
    """An engine that passes on to another one, and changes its traces."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def trace_block(self, block_hash: bytes, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        found: BlockTrace | NoTrace = await self.inner.trace_block(block_hash, wanted)
        return found if isinstance(found, NoTrace) else self.changed(found)

    def changed(self, trace: BlockTrace) -> BlockTrace:
        return trace


class Cutting(Right):
    """Leaves out a node of each proof."""

    def changed(self, trace: BlockTrace) -> BlockTrace:
        proofs = {address: nodes[1:] for address, nodes in trace.proofs.items()}
        return attrs.evolve(trace, proofs=proofs)


class Late(Right):
    """Shows the first sender as it is after its transaction."""

    def changed(self, trace: BlockTrace) -> BlockTrace:
        first, *others = trace.transactions
        return attrs.evolve(trace, transactions=(attrs.evolve(first, sender=first.after[0]), *others))


class Early(Right):
    """Shows the last sender as it was before its transaction."""

    def changed(self, trace: BlockTrace) -> BlockTrace:
        *others, last = trace.transactions
        changed: ProverTransaction = attrs.evolve(last, after=(last.sender, *last.after[1:]))
        return attrs.evolve(trace, transactions=(*others, changed))


class Lenient(Right):
    """Counts gas without refunds, a unit too much."""

    def changed(self, trace: BlockTrace) -> BlockTrace:
        *others, last = trace.transactions
        return attrs.evolve(trace, transactions=(*others, attrs.evolve(last, gas_used=last.gas_used + 1)))


class Cheap(Right):
    """Tells a price for storage that is not the one paid."""

    def changed(self, trace: BlockTrace) -> BlockTrace:
        def priced(step: ProverStep) -> ProverStep:
            return attrs.evolve(step, cost=100) if step.name == "SSTORE" else step

        transactions = [
            attrs.evolve(done, steps=tuple([priced(step) for step in done.steps])) for done in trace.transactions
        ]
        return attrs.evolve(trace, transactions=tuple(transactions))


class Endless(Right):
    """Knows no limits."""

    async def trace_block(self, block_hash: bytes, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        return await super().trace_block(block_hash, attrs.evolve(wanted, most_steps=10**9, most_bytes=10**12))


class Silent(Right):
    """Refuses without a reason."""

    async def trace_block(self, block_hash: bytes, wanted: BlockTraceRequest) -> BlockTrace | NoTrace:
        found = await super().trace_block(block_hash, wanted)
        return attrs.evolve(found, reason="") if isinstance(found, NoTrace) else found


def suite_of(wrapped: Any) -> type:
    class Suite(BlockTracesSuite):
        @asynccontextmanager
        async def open_engine(self, chain: ChainConfig, folder: Path) -> AsyncIterator[Any]:
            async with opened(Role.ENGINE, "pyevm", chain, folder, {"store": "memory"}) as inner:
                yield wrapped(inner)

    return Suite


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrapped", "red"),
    [
        (Right, set()),
        (Cutting, {PROOFS, FIRST}),
        (Late, {FIRST}),
        (Early, {LAST}),
        (Lenient, {RECEIPTS}),
        (Cheap, {STEPS}),
        (Endless, {ASKED}),
        (Silent, {REFUSED}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_of_block_traces_are_named(wrapped: Any, red: set[str], tmp_path: Path) -> None:
    assert red_tests(suite_of(wrapped), tmp_path) == red
