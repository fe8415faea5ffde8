"""Which L2 blocks are final: those derived from L1 blocks that are.

Spec: derivation.md, "Finalization".
"""

from __future__ import annotations

from collections import deque

import attrs

from kroma_core.types import BlockId, L1Number, L2Ref

LOOKBACK = 4 * 32 + 1
"""L1 blocks whose last derived L2 block is remembered: four epochs of L1's consensus layer and one."""

DELAY = 64
"""While derivation catches up, what is final is looked at anew after so many L1 blocks: two epochs."""


@attrs.frozen(kw_only=True)
class Derived:
    """`safe` was the safe head after everything up to L1 block `l1` had been derived."""

    l1: BlockId
    safe: L2Ref


@attrs.define
class Finality:
    """The last safe L2 block that each recent L1 block gave; L1 blocks that gave none are left out."""

    _derived: deque[Derived] = attrs.field(factory=lambda: deque(maxlen=LOOKBACK))
    _tried_at: int | None = None

    def note(self, l1: BlockId, safe: L2Ref) -> None:
        """`safe` is the safe head after everything up to `l1` has been derived."""
        if self._derived and self._derived[-1].safe == safe:
            return
        if self._derived and self._derived[-1].l1.number == l1.number:
            self._derived.pop()
        self._derived.append(Derived(l1=l1, safe=safe))

    def due(self, l1_number: int) -> bool:
        """Whether it is time to look again, derivation having come to an L1 block; once it says so not again soon."""
        if self._tried_at is not None and l1_number <= self._tried_at + DELAY:
            return False
        self._tried_at = l1_number
        return True

    def final_at(self, finalized: L1Number) -> Derived | None:
        """What was derived from L1 blocks up to `finalized`; None when none of them is remembered.

        Final only if its L1 block is on the chain of the finalised one.
        """
        known = [derived for derived in self._derived if derived.l1.number <= finalized]
        return known[-1] if known else None
