"""Chains that this engine cannot execute. Imports nothing heavy: asked before anything opens."""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.chain.config import ChainConfig, MissingGenesis
from kroma_core.forks import Schedule, StateCommitment


def problems_with(chain: ChainConfig) -> Sequence[str]:
    """Why this engine cannot execute the chain from its genesis; nothing if it can."""
    schedule = chain.rollup.schedule
    start = chain.rollup.genesis.l2_time
    if schedule.at(start).state is StateCommitment.ZK_TRIE:
        return [
            f"the chain begins at time {start} with its state in a ZK trie, which the embedded engine does not have; "
            f"{_first_time_without_zk_trie(schedule)}"
        ]
    if chain.genesis is None:
        if chain.missing_genesis is MissingGenesis.SNAPSHOT:
            return ["the chain begins with a snapshot of an older one; the embedded engine can only begin at a genesis"]
        return ["the embedded engine begins at the chain's genesis.json, and none is named"]
    if chain.genesis.state_root is not None:
        return ["the genesis names a state root instead of accounts; the embedded engine needs the accounts"]
    return []


def _first_time_without_zk_trie(schedule: Schedule) -> str:
    times = [time for time in sorted(schedule.times.values()) if schedule.at(time).state is StateCommitment.MPT]
    return f"it could work from block time {times[0]} on" if times else "no upgrade of this chain changes that"
