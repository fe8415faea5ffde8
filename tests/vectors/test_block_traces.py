"""kroma-units/block_traces: what kroma-geth tells the prover of a block, made by the engine, and checked."""

from __future__ import annotations

from typing import Any

from kroma_engine_pyevm.block_traces import trace_block
from kroma_engine_pyevm.watching import Stopwatch

from kroma_core.api import BlockTrace, BlockTraceRequest
from kroma_core.codec.rpc_blocks import header_from_json
from kroma_core.forks import KROMA_FORKS, Fork, Rules, Schedule
from kroma_core.state_proof import proven_account, proven_word
from kroma_core.types import Address, Seconds, Timestamp
from kroma_core.zktrie.accounts import Account
from tests.vectors.traced_blocks import differences, known_block, newest_fork, shown, traced_block, with_known_preimages
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("kroma-units/block_traces")
def test_a_block_executed_again_has_the_trace_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    expected = case["trace"]
    rules = _rules(newest_fork(expected))
    block = traced_block(expected, rules)
    trace = trace_block(block.execution, block.transactions, BlockTraceRequest(), Stopwatch(60))
    assert isinstance(trace, BlockTrace), trace
    known = known_block(block.hash, block.header, block.transactions, rules)
    made = shown(trace, known, expected["chainID"])
    assert differences(made, with_known_preimages(expected, made)) == []


def _rules(newest: Fork) -> Rules:
    """Rules of the ZK era up to an upgrade."""
    forks = list(KROMA_FORKS)
    active = forks[1 : forks.index(newest) + 1]
    return Schedule(table=KROMA_FORKS, times=dict.fromkeys(active, Timestamp(0)), block_time=Seconds(2)).at(1)


@unit_cases("kroma-units/block_traces")
def test_header_and_state_of_a_trace_hold(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    """The header has its hash; accounts and storage that the block touches are proven in the state before it."""
    trace = case["trace"]
    header = header_from_json(trace["header"])
    assert header.hash == hex_bytes(trace["header"]["hash"])
    storage = trace["storageTrace"]
    assert header.state_root == hex_bytes(storage["rootAfter"])
    before = hex_bytes(storage["rootBefore"])
    accounts: dict[Address, Account | None] = {}
    for name, proof in storage["proofs"].items():
        accounts[hex_bytes(name)] = proven_account(before, hex_bytes(name), [hex_bytes(node) for node in proof])
    for name, slots in storage["storageProofs"].items():
        account = accounts[hex_bytes(name)]
        for slot, proof in slots.items():
            root = account.storage_root if account is not None else bytes(32)
            proven_word(root, hex_bytes(slot), [hex_bytes(node) for node in proof])
    # The first transaction finds its sender and its contract in that state.
    for party in (trace["executionResults"][0]["from"], trace["executionResults"][0]["to"], trace["coinbase"]):
        found = accounts[hex_bytes(party["address"])]
        assert found is not None
        assert (found.balance, found.code_hash) == (int(party["balance"], 16), hex_bytes(party["codeHash"]))
