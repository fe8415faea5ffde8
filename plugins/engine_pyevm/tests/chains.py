"""A recorded chain for tests of the engine, and one step along it."""

from __future__ import annotations

import functools
from pathlib import Path

from kroma_engine_pyevm.engine import PyEvmEngine

from kroma_core.api import Applied, Building, Sealed, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.load import chain_from_json
from kroma_core.l2 import ForkchoiceState
from kroma_core.recording import ExpectedBlock, open_recording

DATA = Path(__file__).parents[3] / "tests" / "vectors" / "data"
VECTOR = DATA / "op-chains" / "plain-isthmus.json.xz"


@functools.cache
def chain_and_blocks(path: Path = VECTOR) -> tuple[ChainConfig, tuple[ExpectedBlock, ...]]:
    """The chain of a recording, and its blocks from 1 on."""
    with open_recording(path) as recording:
        assert recording.expected is not None
        chain = chain_from_json(
            recording.rollup_config, recording.l2_genesis, recording.l1_chain_config, source=path.name
        )
        return chain, tuple(recording.expected.blocks())


async def advance(engine: PyEvmEngine, block: ExpectedBlock) -> None:
    """Build, execute and adopt the next block."""
    heads = await engine.heads()
    building = await engine.build(block.payload.parent_hash, block.attributes, heads)
    assert isinstance(building, Building), building
    sealed = await engine.seal(building)
    assert isinstance(sealed, Sealed), sealed
    assert await engine.execute(sealed.payload) == Valid()
    heads = ForkchoiceState(unsafe=sealed.payload.hash, safe=block.payload.parent_hash, finalized=heads.finalized)
    assert await engine.set_heads(heads) == Applied()
