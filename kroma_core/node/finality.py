"""Which L2 blocks are final: those derived from L1 blocks that are.

Spec: derivation.md, "Finalization".
"""

from __future__ import annotations

from collections import deque

import attrs

from kroma_core.types import BlockId, L1Number, L2Ref

LOOKBACK = 4 * 32 + 1
"""L1 blocks whose last derived L2 block is remembered: four epochs of L1's consensus layer and one."""


@attrs.define
class Finality:
    """The last safe L2 block that each recent L1 block gave."""

    _derived: deque[tuple[BlockId, L2Ref]] = attrs.field(factory=lambda: deque(maxlen=LOOKBACK))

    def note(self, l1: BlockId, safe: L2Ref) -> None:
        """`safe` is the safe head after everything up to `l1` has been derived."""
        if self._derived and self._derived[-1][0].number == l1.number:
            self._derived.pop()
        self._derived.append((l1, safe))

    def final_at(self, finalized: L1Number) -> L2Ref | None:
        """The highest L2 block derived from L1 blocks up to `finalized`; None when none is remembered."""
        best: L2Ref | None = None
        for l1, safe in self._derived:
            if l1.number <= finalized:
                best = safe
        return best
