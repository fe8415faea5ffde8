"""Recording a scripted L1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kroma_core.chain.config import RollupConfig
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.recording import About, RecordingWriter, StoredBlob, TimelineStep
from kroma_core.testing.proven_blobs import proven
from kroma_core.testing.scripted_l1 import ScriptedL1

L1_CHAIN_CONFIG: Mapping[str, Any] = {
    "cancunTime": 0,
    "blobSchedule": {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477}},
}


def record(
    l1: ScriptedL1,
    path: Path,
    rollup: RollupConfig,
    *,
    l2_genesis: Mapping[str, Any] | None = None,
    last_head_only: bool = False,
) -> Path:
    """Write all that the script made so far: blocks of all branches, blobs, and the heads in order.

    With `last_head_only` the timeline is one step long.
    """
    with RecordingWriter(
        path,
        rollup_config=rollup_config_to_json(rollup),
        l1_chain_config={"chainId": l1.chain_id, **L1_CHAIN_CONFIG},
        l2_genesis=l2_genesis,
        about=About(name=path.name, summary="a scripted L1"),
    ) as writer:
        for block_hash in l1.block_hashes:
            content = l1.content(block_hash)
            writer.add_block(content.header, content.transactions, content.receipts)
        for versioned_hash in l1.blob_hashes:
            data = l1.blob_content(versioned_hash)
            commitment, proof = proven(data)
            writer.add_proven_blob(
                StoredBlob(versioned_hash=versioned_hash, data=data, commitment=commitment, proof=proof)
            )
        for heads in l1.timeline[-1:] if last_head_only else l1.timeline:
            writer.add_step(
                TimelineStep(
                    unsafe=heads.unsafe.hash,
                    safe=None if heads.safe is None else heads.safe.hash,
                    finalized=None if heads.finalized is None else heads.finalized.hash,
                )
            )
        writer.finish()
    return path
