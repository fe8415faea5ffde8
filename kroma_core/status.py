"""Where a node stands: the heads of L1 as it sees them, how far it has derived, and the heads of its L2 chain.

Spec: rollup-node.md, "Output Method API" (`optimism_syncStatus`).
"""

from __future__ import annotations

import attrs

from kroma_core.l2 import Heads
from kroma_core.types import L1Ref, L2Ref


@attrs.frozen(kw_only=True)
class SyncStatus:
    """A snapshot of the node, consistent in itself; None where there is nothing to name yet.

    `current_l1` is the last L1 block from which everything has been derived, `current_l1_finalized` the highest
    finalised L1 block that finality was computed with. `queued_unsafe` is the lowest block of the unsafe payload queue.
    """

    current_l1: L1Ref | None = None
    current_l1_finalized: L1Ref | None = None
    head_l1: L1Ref | None = None
    safe_l1: L1Ref | None = None
    finalized_l1: L1Ref | None = None
    heads: Heads | None = None
    queued_unsafe: L2Ref | None = None
