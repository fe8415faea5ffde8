"""What a client of a recorded L1 sees: the heads of one step of the timeline, and every block seen up to then."""

from __future__ import annotations

import trio

from kroma_core.errors import NotFound
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.recording import Recording, VerifiedReader
from kroma_core.types import Hash32, L1Ref


class RecordedChain:
    """A recording at one step of its timeline, which only goes forward.

    Blocks by number are those of the current head's branch; by hash, all that were on the branch of some head so far.
    """

    def __init__(self, recording: Recording, *, step: int) -> None:
        if not recording.step_count:
            raise NotFound(f"{recording.path}: the recording's timeline is empty: there is no head to show")
        self.recording = recording
        self.reader = VerifiedReader(recording)
        self._seen: set[Hash32] = set()
        self._position = -1
        self._heads = self.reader.heads(0)
        self.changed = trio.Event()
        """Set, and replaced by another, when the heads move."""
        while self._position < step:
            self.move()

    @property
    def position(self) -> int:
        """The step that is shown, counted from 0."""
        return self._position

    @property
    def steps(self) -> int:
        return self.recording.step_count

    @property
    def at_end(self) -> bool:
        return self._position + 1 >= self.steps

    @property
    def heads(self) -> L1Heads:
        return self._heads

    @property
    def first(self) -> int:
        """Number of the recording's lowest block."""
        return self.recording.span()[0]

    def move(self) -> bool:
        """Show the next step; False where there is none."""
        if self.at_end:
            return False
        heads = self.reader.heads(self._position + 1)
        for ref in (heads.unsafe, heads.safe, heads.finalized):
            if ref is not None:
                self._see(ref.hash)
        self._heads = heads
        self._position += 1
        self.changed.set()
        self.changed = trio.Event()
        return True

    def head(self, label: L1Label) -> L1Ref:
        """Raises `NotFound` for a head that this step does not have, in geth's words: clients look for them."""
        heads = self._heads
        found = {L1Label.UNSAFE: heads.unsafe, L1Label.SAFE: heads.safe, L1Label.FINALIZED: heads.finalized}[label]
        if found is None:
            raise NotFound(f"{label} block not found")
        return found

    def numbered(self, number: int) -> Hash32 | None:
        """The block at a height of the current branch; None outside of it."""
        try:
            return self.reader.canonical(self._heads.unsafe.hash, number).hash
        except NotFound:
            return None

    def knows(self, block_hash: Hash32) -> bool:
        """Whether the block has been seen by now."""
        return block_hash in self._seen

    def is_canonical(self, block_hash: Hash32) -> bool:
        link = self.recording.link(block_hash)
        return link is not None and self.numbered(link.number) == block_hash

    def at_time(self, time: int) -> Hash32 | None:
        """The block of the current branch with exactly this time. Times rise with numbers."""
        low, high = self.first, int(self._heads.unsafe.number)
        while low <= high:
            middle = (low + high) // 2
            block_hash = self.numbered(middle)
            if block_hash is None:
                return None
            found = self.reader.header(block_hash).timestamp
            if found == time:
                return block_hash
            if found < time:
                low = middle + 1
            else:
                high = middle - 1
        return None

    def _see(self, block_hash: Hash32) -> None:
        while block_hash not in self._seen:
            link = self.recording.link(block_hash)
            if link is None:
                return
            self._seen.add(block_hash)
            block_hash = link.parent_hash
