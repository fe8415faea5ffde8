"""The L1 source: a recording whose current head moves along its timeline."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from kroma_core.errors import NotFound
from kroma_core.l1 import L1Block, L1Heads, L1Label, L1Receipts
from kroma_core.recording import Expected, Recording, VerifiedReader
from kroma_core.types import Hash32, L1Number, L1Ref


class CassetteL1:
    """An L1 source that shows a recorded timeline, one head after the other.

    The canonical chain is that of the current head; blocks of other branches, and later ones, are known by hash alone.
    Everything is read from a local file, a row at a time, on the caller's task.
    """

    def __init__(self, recording: Recording, *, follow: bool = False) -> None:
        self.recording = recording
        self.reader = VerifiedReader(recording)
        self._follow = follow
        self._position = 0
        self._heads = self.reader.heads(0) if recording.step_count else None

    @property
    def step_count(self) -> int:
        """Heads in the timeline."""
        return self.recording.step_count

    @property
    def position(self) -> int:
        """The timeline step that is shown now."""
        return self._position

    def expectations(self) -> Expected | None:
        """What the reference client derived from this L1, where the recording says so."""
        return self.recording.expected

    async def head(self, label: L1Label) -> L1Ref:
        await trio.lowlevel.checkpoint()
        heads = self._current()
        found = {L1Label.UNSAFE: heads.unsafe, L1Label.SAFE: heads.safe, L1Label.FINALIZED: heads.finalized}[label]
        if found is None:
            raise NotFound(f"{self.recording.path}: no {label} head was recorded at timeline step {self._position}")
        return found

    async def ref(self, block: L1Number | Hash32) -> L1Ref:
        await trio.lowlevel.checkpoint()
        if isinstance(block, bytes):
            return self.reader.ref(block)
        return self.reader.canonical(self._current().unsafe.hash, block)

    async def block(self, block_hash: Hash32) -> L1Block:
        await trio.lowlevel.checkpoint()
        return self.reader.block(block_hash)

    async def receipts(self, block_hash: Hash32) -> L1Receipts:
        await trio.lowlevel.checkpoint()
        return self.reader.receipts(block_hash)

    async def subscribe(self) -> AsyncIterator[L1Heads]:
        """The heads of each timeline step from the current one on; asking for the next moves the source to it."""
        if self._heads is not None:
            await trio.lowlevel.checkpoint()
            yield self._current()
            while self._position + 1 < self.recording.step_count:
                await trio.lowlevel.checkpoint()
                self._heads = self.reader.heads(self._position + 1)
                self._position += 1
                yield self._current()
        if self._follow:
            await trio.sleep_forever()

    def _current(self) -> L1Heads:
        if self._heads is None:
            raise NotFound(f"{self.recording.path}: the recording's timeline is empty")
        return self._heads
