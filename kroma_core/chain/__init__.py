"""A chain's identity and constants: family, rollup config, genesis, and the L1 it lives on."""

from __future__ import annotations

from kroma_core.chain.config import (
    BlockLimits,
    ChainConfig,
    Family,
    GenesisBlock,
    L1ChainConfig,
    RollupConfig,
    SystemConfig,
)

__all__ = ["BlockLimits", "ChainConfig", "Family", "GenesisBlock", "L1ChainConfig", "RollupConfig", "SystemConfig"]
