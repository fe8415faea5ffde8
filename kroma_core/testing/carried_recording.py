"""A recording whose batch is carried in a data source's own way, for `kroma replay --profile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kroma_core.chain.load import chain_from_json
from kroma_core.derive.batches import SingularBatch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import encode_frames
from kroma_core.derive.singular_batch import encode_singular_content
from kroma_core.recording import open_recording
from kroma_core.testing.engine_world import VECTORS
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import rollup_on
from kroma_core.types import L1Number, Timestamp

_CHAIN = "op-bedrock.json.xz"
"""Whose genesis the recorded chain has: one that engines execute."""
_SMALLEST_FRAME = 16
"""Bytes of the channel a frame, so that one batch makes several frames."""


def record_carried(path: Path, encode: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Path:
    """Write a recording of an L1 whose batcher publishes what `encode` (of a `DataPublisher`) makes, as call data.

    One L2 block can be derived from it, block 1, and only by a source that reads what was encoded: the sequencing
    window of its epoch is still open at the end. Nothing is recorded to compare with.
    """
    source = VECTORS / _CHAIN
    with open_recording(source) as recording:
        genesis = recording.l2_genesis
        given = chain_from_json(recording.rollup_config, genesis, recording.l1_chain_config, source=str(source))
    start = given.rollup.genesis
    l1 = ScriptedL1(fork="cancun", genesis_time=start.l2_time)
    chain = rollup_on(
        l1, forks={}, l2_genesis_hash=start.l2.hash, genesis=given.genesis, l2_chain_id=given.rollup.l2_chain_id
    )
    batch = SingularBatch(
        parent_hash=start.l2.hash,
        epoch_number=L1Number(0),
        epoch_hash=l1.genesis.hash,
        timestamp=Timestamp(start.l2_time + chain.rollup.block_time),
        transactions=(),
    )
    channel = encode_channel(
        [b"\0" + encode_singular_content(batch)],
        Compression.ZLIB,
        channel_id=bytes(16),
        max_frame_data=_SMALLEST_FRAME,
    )
    contents = encode([encode_frames([frame])[1:] for frame in channel])
    l1.mine_empty(1)
    l1.mine([l1.batcher_tx(content) for content in contents])
    l1.mine_empty(3)
    return record(l1, path, chain.rollup, l2_genesis=genesis)
