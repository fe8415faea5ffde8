"""Reads content by the commitments on L1, and publishes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import L1Ref
from kroma_data_directory.commitment import Commitment
from kroma_data_directory.stores import Bucket, Folder, Store

FRAMES = b"\x00"
"""First byte of an input that consists of frames."""
BLOB_TYPE = 3

PART = "data directory"
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds between attempts to upload."""


class DirectoryData:
    """The data source and publisher. `kept` is on this machine; `bucket` is where the others read, if not there.

    `encode` cannot wait for a server, so with a bucket it keeps content here until `upload` has put it there. It is
    kept for good before its commitment can stand on L1: what a crash leaves is uploaded when the part opens again.
    """

    def __init__(self, *, kept: Folder, bucket: Bucket | None, largest: int, emit: Callable[[Event], None]) -> None:
        self._kept, self._bucket, self._largest, self._emit = kept, bucket, largest, emit
        self._work = trio.Event()
        self._idle = trio.Event()
        if bucket is None:
            self._idle.set()

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return tx.type != BLOB_TYPE and Commitment.decode(tx.data) is not None

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        await trio.lowlevel.checkpoint()
        return [await self._inputs(tx, block) for tx in txs]

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        commitments = []
        for content in self._packed(frames):
            commitment = Commitment.to(content)
            self._kept.put_now(commitment.name, content)
            commitments.append(commitment.encode())
        if self._bucket is not None and commitments:
            if self._idle.is_set():
                self._idle = trio.Event()
            self._work.set()
        return commitments

    async def published(self) -> None:
        """Wait until everything that `encode` has made is where the others read it."""
        await self._idle.wait()

    async def upload(self) -> None:
        """Put into the bucket what is kept here for it, for ever."""
        assert self._bucket is not None
        while True:
            self._work = trio.Event()
            for name, content in self._kept.contents():
                await self._put(self._bucket, name, content)
                self._kept.remove_now(name)
            if not self._work.is_set():
                self._idle.set()
            await self._work.wait()

    async def _put(self, bucket: Bucket, name: str, content: bytes) -> None:
        attempt, pause = 1, FIRST_PAUSE
        while True:
            try:
                await bucket.put(name, content)
                return
            except TemporaryError as error:
                what = f"upload {name}"
                self._emit(Retrying(part=PART, what=what, error=str(error), attempt=attempt, delay=pause))
            await trio.sleep(pause)
            attempt, pause = attempt + 1, min(2 * pause, LONGEST_PAUSE)

    async def _inputs(self, tx: InboxTransaction, block: L1Ref) -> tuple[bytes, ...]:
        """The content that a transaction commits to; nothing where that is too large for any reader."""
        commitment = Commitment.decode(tx.data)
        if commitment is None or not 0 < commitment.size <= self._largest:
            return ()
        problems = []
        stores: tuple[Store, ...] = (self._kept,) if self._bucket is None else (self._kept, self._bucket)
        for store in stores:
            try:
                content = await store.get(commitment.name, commitment.size)
            except TemporaryError as error:
                problems.append(str(error))
                continue
            wrong = commitment.problem_of(content)
            if wrong is None:
                return (content,)
            problems.append(f"object {commitment.name}: {wrong}")
        raise TemporaryError(
            f"read batcher data of transaction 0x{tx.hash.hex()} in L1 block {block.id}: {problems[-1]}"
        )

    def _packed(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        contents: list[bytes] = []
        for frame in frames:
            if len(FRAMES) + len(frame) > self._largest:
                raise CriticalError(f"publish a frame of {len(frame)} bytes: readers take at most {self._largest}")
            if contents and len(contents[-1]) + len(frame) <= self._largest:
                contents[-1] += frame
            else:
                contents.append(FRAMES + frame)
        return contents
