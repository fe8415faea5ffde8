"""Chains that this engine cannot execute. Imports nothing heavy: asked before anything opens."""

from __future__ import annotations

from collections.abc import Sequence

from kroma_core.chain.config import ChainConfig, MissingGenesis


def problems_with(chain: ChainConfig) -> Sequence[str]:
    """Why this engine cannot execute the chain from its genesis; nothing if it can."""
    if chain.genesis is None:
        if chain.missing_genesis is MissingGenesis.SNAPSHOT:
            return ["the chain begins with a snapshot of an older one; the embedded engine can only begin at a genesis"]
        return ["the embedded engine begins at the chain's genesis.json, and none is named"]
    if chain.genesis.state_root is not None:
        return ["the genesis names a state root instead of accounts; the embedded engine needs the accounts"]
    return []
