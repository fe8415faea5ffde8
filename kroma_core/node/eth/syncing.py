"""How far a node that derives is behind its chain, for `eth_syncing`."""

from __future__ import annotations

from kroma_core.node.health import DEFAULT_LIMITS, HealthLimits
from kroma_core.status import SyncStatus


def highest_known(
    status: SyncStatus, *, block_time: int, confirmations: int = 0, limits: HealthLimits = DEFAULT_LIMITS
) -> int | None:
    """The number that the newest L2 block must have about now; None for a node that is up to date, or has not begun.

    Known from unsafe blocks that wait for those below them, or, while derivation has L1 blocks to read, from the time
    of the L1 head. A node whose unsafe head is as fresh as `limits` want L1 to be is up to date, whatever is still to
    be derived: questions about the newest blocks can be answered.
    """
    if status.heads is None:
        return None
    unsafe = status.heads.unsafe
    known: list[int] = [unsafe.number]
    if status.queued_unsafe is not None:
        known.append(status.queued_unsafe.number)
    if status.head_l1 is not None:
        read = status.current_l1.number if status.current_l1 is not None else -1
        if status.head_l1.number - read > limits.lag + confirmations:
            known.append(unsafe.number + (status.head_l1.timestamp - unsafe.timestamp) // block_time)
    highest = max(known)
    return highest if (highest - unsafe.number) * block_time > limits.l1_age else None
