"""Block traces of whole recorded chains of the ZK era: each is made, and fits what the reference client recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from kroma_engine_pyevm.block_traces import trace_block
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore
from kroma_engine_pyevm.watching import Stopwatch

from kroma_core.api import BlockTrace, BlockTraceRequest, NoTrace, Trace, TraceRequest, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.payloads import header_of
from kroma_core.codec.receipts import Receipt
from kroma_core.forks import StateCommitment
from kroma_core.recording import ExpectedBlock, open_recording
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import ZERO_HASH, Hash32
from tests.vectors.traced_blocks import differences, known_block, shown, traced_block
from tests.vectors.unit_files import OWN_VECTORS, vectors_root

AGAIN_EVERY = 6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = metafunc.function is not test_every_block_of_the_zk_era_is_traced
    given = metafunc.config.getoption("--vectors") is not None and not own
    root = OWN_VECTORS if own else vectors_root(metafunc.config)
    paths = sorted((root / "kroma-chains").glob("*.json*"))
    marks = () if given else pytest.mark.slow
    metafunc.parametrize("path", [pytest.param(path, id=path.name.split(".")[0], marks=marks) for path in paths])


def _opened(path: Path) -> tuple[ChainConfig, PyEvmEngine, tuple[ExpectedBlock, ...]]:
    with open_recording(path) as recording:
        assert recording.expected is not None
        blocks = tuple(recording.expected.blocks())
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=path.name
        )
    return chain, PyEvmEngine(chain, MemoryStore(), seconds=60.0), blocks


def test_every_block_of_the_zk_era_is_traced(path: Path) -> None:
    """Between the recorded roots, with proofs that hold, and as its receipts say."""
    chain, engine, blocks = _opened(path)

    async def main() -> None:
        roots = {chain.rollup.genesis.l2.hash: (await engine.header(chain.rollup.genesis.l2.hash)).state_root}
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
            roots[block.hash] = block.payload.state_root
            trace = await engine.trace_block(block.hash, BlockTraceRequest())
            if chain.rollup.schedule.at(block.payload.timestamp).state is not StateCommitment.ZK_TRIE:
                assert isinstance(trace, NoTrace)
            elif isinstance(trace, NoTrace):
                count = len(block.payload.transactions)
                calls = await engine.trace_transactions(block.hash, 0, count, TraceRequest())
                assert _without_account(block.payload.transactions, calls), trace
            else:
                _check(trace, roots[block.payload.parent_hash], block)

    trio.run(main)


def test_steps_are_those_that_debug_traces_have(path: Path) -> None:
    """Prices are found by other means there: by what was paid."""
    _, engine, blocks = _opened(path)

    async def main() -> None:
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
            trace = await engine.trace_block(block.hash, BlockTraceRequest())
            if isinstance(trace, NoTrace):
                continue
            wanted = TraceRequest(most_steps=10**6)
            others = await engine.trace_transactions(block.hash, 0, len(block.payload.transactions), wanted)
            for done, other in zip(trace.transactions, others, strict=True):
                assert other.complete
                assert [
                    (one.pc, one.name, one.gas, one.cost, one.depth, one.refund, one.stack) for one in done.steps
                ] == [(one.pc, one.name, one.gas, one.cost, one.depth, one.refund, one.stack) for one in other.steps]

    trio.run(main)


def test_a_trace_has_all_that_it_takes_to_make_it_again(path: Path) -> None:
    """The state that it proves is enough to execute the block, which gives the same trace."""
    chain, engine, blocks = _opened(path)

    async def main() -> None:
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
            rules = chain.rollup.schedule.at(block.payload.timestamp)
            if block.payload.number % AGAIN_EVERY or rules.state is not StateCommitment.ZK_TRIE:
                continue
            trace = await engine.trace_block(block.hash, BlockTraceRequest())
            if isinstance(trace, NoTrace):
                continue
            known = known_block(block.hash, header_of(block.payload), block.payload.transactions, rules)
            told = shown(trace, known, chain.rollup.l2_chain_id)
            again = traced_block(told, rules)
            made = trace_block(again.execution, again.transactions, BlockTraceRequest(), Stopwatch(60))
            assert isinstance(made, BlockTrace), made
            assert differences(shown(made, known, chain.rollup.l2_chain_id), told) == []

    trio.run(main)


def _without_account(transactions: Sequence[bytes], traces: Sequence[Trace]) -> bool:
    """Whether a deposit was to create a contract and never began: kroma-geth refuses to trace such a block."""
    return any(
        trace.calls[0].kind == "STOP" and decode_deposit(raw, legacy=True).to is None
        for raw, trace in zip(transactions, traces, strict=True)
    )


def _check(trace: BlockTrace, root: Hash32, block: ExpectedBlock) -> None:
    assert trace.root_before == root
    accounts = {address: proven_account(root, address, nodes) for address, nodes in trace.proofs.items()}
    for address, slots in trace.storage_proofs.items():
        account = accounts[address]
        for slot, nodes in slots.items():
            if nodes or account is not None:
                proven_word(ZERO_HASH if account is None else account.storage_root, slot, nodes)
    assert len(trace.transactions) == len(block.receipts)
    used = 0
    for done, raw in zip(trace.transactions, block.receipts, strict=True):
        receipt = Receipt.decode(raw)
        used += done.gas_used
        assert (used, done.failed) == (receipt.cumulative_gas_used, not receipt.status)
