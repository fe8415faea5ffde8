"""Limits of blocks in Kroma's chain config: they are part of a block's validity, in both of its eras."""

from __future__ import annotations

import attrs
import pytest
import trio
from kroma_engine_pyevm.engine import PyEvmEngine
from kroma_engine_pyevm.store import MemoryStore

from kroma_core.api import Building, Invalid, Valid
from kroma_core.chain.config import BlockLimits, ChainConfig
from kroma_core.recording import ExpectedBlock

from .chains import DATA, chain_and_blocks

ERAS = {"zk-trie": "canyon-zk", "merkle-patricia": "mpt-genesis"}


def limited(era: str, limits: BlockLimits) -> tuple[ChainConfig, ExpectedBlock]:
    """A recorded chain with limits, and its first block."""
    chain, blocks = chain_and_blocks(DATA / "kroma-chains" / f"{ERAS[era]}.json.xz")
    return attrs.evolve(chain, rollup=attrs.evolve(chain.rollup, block_limits=limits)), blocks[0]


def judged(chain: ChainConfig, block: ExpectedBlock) -> tuple[object, object]:
    """What the engine says of the block as it comes from outside, and of its attributes."""

    async def main() -> tuple[object, object]:
        engine = PyEvmEngine(chain, MemoryStore())
        assert block.attributes is not None
        built = await engine.build(block.payload.parent_hash, block.attributes, await engine.heads())
        return await engine.execute(block.payload), built

    return trio.run(main)


@pytest.mark.parametrize("era", ERAS)
def test_a_block_with_more_transactions_than_the_chain_allows_is_invalid(era: str) -> None:
    _, block = limited(era, BlockLimits())
    count = len(block.payload.transactions)
    chain, _ = limited(era, BlockLimits(transactions=count - 1))
    for verdict in judged(chain, block):
        assert isinstance(verdict, Invalid)
        assert f"{count} transactions, the chain's blocks have at most {count - 1}" in verdict.reason
        assert verdict.latest_valid == block.payload.parent_hash


@pytest.mark.parametrize("era", ERAS)
def test_a_block_with_more_bytes_than_the_chain_allows_is_invalid(era: str) -> None:
    _, block = limited(era, BlockLimits())
    size = sum(map(len, block.payload.transactions))
    chain, _ = limited(era, BlockLimits(size=size - 1))
    for verdict in judged(chain, block):
        assert isinstance(verdict, Invalid)
        assert f"transactions of {size} bytes, the chain's blocks have at most {size - 1}" in verdict.reason


@pytest.mark.parametrize("era", ERAS)
def test_a_block_that_just_keeps_the_limits_is_valid(era: str) -> None:
    _, block = limited(era, BlockLimits())
    transactions = block.payload.transactions
    chain, _ = limited(era, BlockLimits(transactions=len(transactions), size=sum(map(len, transactions))))
    executed, built = judged(chain, block)
    assert executed == Valid()
    assert isinstance(built, Building)
