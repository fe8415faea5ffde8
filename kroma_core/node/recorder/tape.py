"""The recording that is being made: written in a thread, a timeline step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

from kroma_core.codec.kzg import commitment_of, proof_of, versioned_hash_of
from kroma_core.errors import CriticalError
from kroma_core.l1 import L1Block, L1Heads, L1Receipts
from kroma_core.recording import ExpectedBlock, RecordingWriter, SafeAfter, StoredBlob, TimelineStep
from kroma_core.types import Hash32


@attrs.define(kw_only=True)
class Tape:
    """What has been recorded. Every method raises `RecordingError`; none is cut short by cancellation."""

    writer: RecordingWriter
    blocks: int = 0
    blobs: int = 0
    _known: set[Hash32] = attrs.field(factory=set)
    """L1 blocks and blobs that are in the file, and those of the step that is being written."""
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))

    def has(self, name: Hash32) -> bool:
        """Whether an L1 block or a blob is recorded."""
        return name in self._known

    async def add_block(self, block: L1Block, receipts: L1Receipts) -> None:
        """Record a block whose source has verified it; one that is there already is left as it is."""
        if self.has(block.hash):
            return

        def write() -> None:
            encoded = [receipt.encode() for receipt in receipts]
            written = self.writer.add_block(block.header.encode(), block.transactions, encoded)
            if written != block.hash:
                raise CriticalError(f"record L1 block {block.id}: its header hashes to 0x{written.hex()}")

        await self._in_thread(write)
        self._known.add(block.hash)
        self.blocks += 1

    async def add_blobs(self, versioned_hashes: Sequence[Hash32], blobs: Sequence[bytes]) -> None:
        """Record blobs that are not there yet, with commitments and proofs of their own."""
        for name, data in zip(versioned_hashes, blobs, strict=True):
            if self.has(name):
                continue

            def write(name: Hash32 = name, data: bytes = data) -> None:
                commitment = commitment_of(data)
                if versioned_hash_of(commitment) != name:
                    raise CriticalError(f"record blob 0x{name.hex()}: the blob source has given another")
                proof = proof_of(data, commitment)
                self.writer.add_proven_blob(
                    StoredBlob(versioned_hash=name, data=data, commitment=commitment, proof=proof)
                )

            await self._in_thread(write)
            self._known.add(name)
            self.blobs += 1

    async def add_step(self, heads: L1Heads, blocks: Sequence[ExpectedBlock], safe: SafeAfter) -> None:
        """Record heads with what was derived since the last ones, and keep all that has been written."""

        def write() -> None:
            for block in blocks:
                self.writer.add_expected_block(block)
            self.writer.add_step(
                TimelineStep(
                    unsafe=heads.unsafe.hash,
                    safe=None if heads.safe is None else heads.safe.hash,
                    finalized=None if heads.finalized is None else heads.finalized.hash,
                )
            )
            self.writer.add_safe_after(safe)
            self.writer.keep()

        await self._in_thread(write)

    async def _in_thread(self, write: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(write, limiter=self._limiter)
