"""References to blocks, and where a node stands, as op-node writes them.

Numbers are JSON numbers; what is not there yet is a reference of zeros.

Spec: rollup-node.md, "L2 Output RPC method".
"""

from __future__ import annotations

from typing import Any

from kroma_core.codec.hexadecimal import to_data
from kroma_core.status import SyncStatus
from kroma_core.types import ZERO_HASH, BlockId, L1Ref, L2Ref

_ZERO = to_data(ZERO_HASH)


def block_id(found: BlockId) -> dict[str, Any]:
    return {"hash": to_data(found.hash), "number": found.number}


def l1_ref(found: L1Ref | None) -> dict[str, Any]:
    if found is None:
        return {"hash": _ZERO, "number": 0, "parentHash": _ZERO, "timestamp": 0}
    return {
        "hash": to_data(found.hash),
        "number": found.number,
        "parentHash": to_data(found.parent_hash),
        "timestamp": found.timestamp,
    }


def l2_ref(found: L2Ref | None) -> dict[str, Any]:
    if found is None:
        return {**l1_ref(None), "l1origin": {"hash": _ZERO, "number": 0}, "sequenceNumber": 0}
    return {
        "hash": to_data(found.hash),
        "number": found.number,
        "parentHash": to_data(found.parent_hash),
        "timestamp": found.timestamp,
        "l1origin": block_id(found.l1_origin),
        "sequenceNumber": found.sequence_number,
    }


def sync_status(found: SyncStatus) -> dict[str, Any]:
    """The answer of `optimism_syncStatus`."""
    heads = found.heads
    return {
        "current_l1": l1_ref(found.current_l1),
        "current_l1_finalized": l1_ref(found.current_l1_finalized),
        "head_l1": l1_ref(found.head_l1),
        "safe_l1": l1_ref(found.safe_l1),
        "finalized_l1": l1_ref(found.finalized_l1),
        "unsafe_l2": l2_ref(heads.unsafe if heads else None),
        "safe_l2": l2_ref(heads.safe if heads else None),
        "finalized_l2": l2_ref(heads.finalized if heads else None),
        "pending_safe_l2": l2_ref(heads.pending_safe if heads else None),
        "cross_unsafe_l2": l2_ref(heads.cross_unsafe if heads else None),
        "local_safe_l2": l2_ref(heads.local_safe if heads else None),
    }
