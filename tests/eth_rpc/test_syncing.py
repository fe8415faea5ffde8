"""What `eth_syncing` goes by."""

from __future__ import annotations

import attrs
import pytest

from kroma_core.l2 import Heads
from kroma_core.node.eth.syncing import highest_known
from kroma_core.status import SyncStatus
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp

NOW = 1_000_000


def l1(number: int, age: int) -> L1Ref:
    return L1Ref(hash=bytes(32), number=L1Number(number), parent_hash=bytes(32), timestamp=Timestamp(NOW - age))


def l2(number: int, age: int) -> L2Ref:
    return L2Ref(
        hash=bytes(32),
        number=L2Number(number),
        parent_hash=bytes(32),
        timestamp=Timestamp(NOW - age),
        l1_origin=BlockId(bytes(32), L1Number(0)),
        sequence_number=0,
    )


def status(*, behind: int, read: int | None, queued: int | None = None) -> SyncStatus:
    """L1 at block 1000, derivation at `read`, the unsafe head with number 500 and so many seconds old."""
    unsafe = l2(500, behind)
    return SyncStatus(
        current_l1=l1(read, 12 * (1000 - read)) if read is not None else None,
        head_l1=l1(1000, 0),
        heads=Heads(
            unsafe=unsafe, cross_unsafe=unsafe, local_safe=unsafe, pending_safe=unsafe, safe=unsafe, finalized=unsafe
        ),
        queued_unsafe=l2(queued, 0) if queued is not None else None,
    )


@pytest.mark.parametrize(
    ("found", "highest"),
    [
        (status(behind=3600, read=700), 2300),
        (status(behind=3600, read=None), 2300),
        (status(behind=3600, read=995), None),
        (status(behind=4, read=700), None),
        (status(behind=3600, read=1000, queued=900), 900),
        (status(behind=8, read=1000, queued=504), None),
        (attrs.evolve(status(behind=3600, read=700), heads=None), None),
    ],
    ids=[
        "derivation has L1 blocks to read",
        "derivation has not begun",
        "L1 is read: the batcher is slow",
        "unsafe blocks come by gossip",
        "unsafe blocks wait far above",
        "an unsafe block came out of order",
        "the engine has not told its heads",
    ],
)
def test_node_is_syncing_while_it_is_far_behind_what_it_knows_of(found: SyncStatus, highest: int | None) -> None:
    assert highest_known(found, block_time=2) == highest
