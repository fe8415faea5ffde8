"""Which block is canonical at which number, as far as it is known. No I/O.

Near the head every number is linked to the head by parent hashes, so that a server on another branch cannot slip a
block in. Far below, where no reorg reaches, what servers say of a number is kept as they said it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kroma_core.types import Hash32, L1Ref

KEPT: Final = 8_192
"""References that are kept, near the head and far below it each."""


class ChainIndex:
    """The canonical chain below a head."""

    def __init__(self) -> None:
        self._linked: dict[int, L1Ref] = {}
        """Contiguous, up to the head."""
        self._lowest = 0
        self._deep: dict[int, L1Ref] = {}
        self.head: L1Ref | None = None

    def at(self, number: int) -> L1Ref | None:
        """The canonical block at a number, where it is known."""
        return self._linked.get(number) or self._deep.get(number)

    def holds(self, ref: L1Ref) -> bool:
        """Whether a block is known to be canonical."""
        return self.holds_hash(ref.hash, ref.number)

    def links(self, ref: L1Ref) -> bool:
        """Whether a block is the head or tied to it by parent hashes."""
        known = self._linked.get(ref.number)
        return known is not None and known.hash == ref.hash

    def holds_hash(self, block_hash: Hash32, number: int) -> bool:
        known = self.at(number)
        return known is not None and known.hash == block_hash

    @property
    def lowest_linked(self) -> L1Ref | None:
        """The block from which on everything is linked to the head."""
        return self._linked.get(self._lowest)

    def continues(self, ref: L1Ref) -> bool:
        """Whether a block's parent is the one that is linked at the number below."""
        below = self._linked.get(ref.number - 1)
        return below is not None and below.hash == ref.parent_hash

    def move(self, branch: Sequence[L1Ref]) -> int | None:
        """Make the last of `branch` the head; the blocks of `branch` follow each other upwards.

        Where the first one continues the known chain, what lies below stays, and the number of the block that both
        chains share is returned; None where nothing ties them together.
        """
        first, head = branch[0], branch[-1]
        shared = first.number - 1 if self.continues(first) else None
        if shared is None:
            self._linked.clear()
            self._lowest = first.number
            # Nothing says which of the blocks far below still hold.
            self._deep.clear()
        else:
            for number in range(first.number, self._top + 1):
                self._linked.pop(number, None)
            for number in [number for number in self._deep if number >= first.number]:
                del self._deep[number]
        self._linked |= {ref.number: ref for ref in branch}
        self.head = head
        self._trim()
        return shared

    def cut(self, number: int) -> None:
        """Make the known block at `number`, which is linked, the head."""
        self.head = self._linked[number]
        for above in [above for above in self._linked if above > number]:
            del self._linked[above]

    def extend_down(self, refs: Sequence[L1Ref]) -> bool:
        """Link more blocks below: `refs` in descending order. False where one of them is not the parent of the last."""
        for ref in refs:
            lowest = self._linked.get(self._lowest)
            if lowest is None or lowest.number - 1 != ref.number or lowest.parent_hash != ref.hash:
                return False
            self._linked[ref.number] = ref
            self._lowest = ref.number
        return True

    def note_deep(self, ref: L1Ref) -> None:
        """Keep what a server says of a number far below the head."""
        self._deep[ref.number] = ref
        while len(self._deep) > KEPT:
            del self._deep[next(iter(self._deep))]

    def contradicts(self, ref: L1Ref) -> bool:
        """Whether a block at a number far below does not fit its known neighbours."""
        below, above = self.at(ref.number - 1), self.at(ref.number + 1)
        return (below is not None and below.hash != ref.parent_hash) or (
            above is not None and above.parent_hash != ref.hash
        )

    def forget_deep(self) -> None:
        """Nothing far below counts any more."""
        self._deep.clear()

    @property
    def _top(self) -> int:
        return self.head.number if self.head is not None else -1

    def _trim(self) -> None:
        while len(self._linked) > KEPT:
            del self._linked[self._lowest]
            self._lowest += 1
