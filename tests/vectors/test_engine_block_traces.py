"""Block traces of whole recorded chains of the ZK era: each is made, and fits what the reference client recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import BlockTrace, BlockTraceRequest, NoTrace, Trace, TraceRequest, Valid
from kroma_core.chain.load import chain_from_json
from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.receipts import Receipt
from kroma_core.forks import StateCommitment
from kroma_core.recording import ExpectedBlock, open_recording
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import ZERO_HASH, Hash32
from tests.vectors.unit_files import vectors_root


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    root = vectors_root(metafunc.config)
    given = metafunc.config.getoption("--vectors") is not None
    paths = sorted((root / "kroma-chains").glob("*.json*"))
    marks = () if given else pytest.mark.slow
    metafunc.parametrize("path", [pytest.param(path, id=path.name.split(".")[0], marks=marks) for path in paths])


def test_every_block_of_the_zk_era_is_traced(path: Path) -> None:
    """Between the recorded roots, with proofs that hold; steps as `debug_trace*` has them, found by other means."""
    with open_recording(path) as recording:
        assert recording.expected is not None
        blocks = tuple(recording.expected.blocks())
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=path.name
        )
    engine = PyEvmEngine(chain, MemoryStore(), seconds=60.0)

    async def main() -> None:
        roots = {chain.rollup.genesis.l2.hash: (await engine.header(chain.rollup.genesis.l2.hash)).state_root}
        for block in blocks:
            assert await engine.execute(block.payload) == Valid()
            roots[block.hash] = block.payload.state_root
            trace = await engine.trace_block(block.hash, BlockTraceRequest())
            if chain.rollup.schedule.at(block.payload.timestamp).state is not StateCommitment.ZK_TRIE:
                assert isinstance(trace, NoTrace)
                continue
            count = len(block.payload.transactions)
            others = await engine.trace_transactions(block.hash, 0, count, TraceRequest(most_steps=10**6))
            if isinstance(trace, NoTrace):
                assert _without_account(block.payload.transactions, others), trace
                continue
            _check(trace, roots[block.payload.parent_hash], block)
            for done, other in zip(trace.transactions, others, strict=True):
                assert [
                    (one.pc, one.name, one.gas, one.cost, one.depth, one.refund, one.stack) for one in done.steps
                ] == [(one.pc, one.name, one.gas, one.cost, one.depth, one.refund, one.stack) for one in other.steps]

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
