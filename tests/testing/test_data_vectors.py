"""The recorded chains of the kit through a data source: whose blocks come back, and whose do not."""

from __future__ import annotations

import pytest
import trio

from kroma_core.testing.data_vectors import derive_recorded
from kroma_core.testing.engine_world import VECTORS

BLOCKS = {"op-bedrock": 94, "op-jovian": 94, "kroma-mpt": 44, "kroma-zk": 44}


async def as_it_was(frames: bytes) -> tuple[bytes, ...]:
    await trio.lowlevel.checkpoint()
    return (b"\0" + frames,)


async def lost(frames: bytes) -> tuple[bytes, ...]:
    await trio.lowlevel.checkpoint()
    return ()


@pytest.mark.parametrize("chain", sorted(path.name for path in VECTORS.glob("*.json.xz")))
def test_every_chain_of_the_kit_derives_whole_from_call_data_and_blobs_that_are_read_back(chain: str) -> None:
    blocks = BLOCKS[chain.partition(".")[0]]
    assert trio.run(derive_recorded, VECTORS / chain, as_it_was) == (blocks, blocks)


def test_a_source_that_loses_its_frames_derives_none_of_the_blocks() -> None:
    assert trio.run(derive_recorded, VECTORS / "kroma-mpt.json.xz", lost) == (0, 44)
