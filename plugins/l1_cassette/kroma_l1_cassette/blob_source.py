"""The blob source: blobs of a recording by versioned hash."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from kroma_core.api import Missing
from kroma_core.recording import Recording, VerifiedReader
from kroma_core.types import Hash32, L1Ref


class CassetteBlobs:
    """Recorded blobs; each is checked against its KZG commitment, in a thread."""

    def __init__(self, recording: Recording) -> None:
        self._reader = VerifiedReader(recording)

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        found: list[bytes] = []
        missing: list[Hash32] = []
        await trio.lowlevel.checkpoint()
        for versioned_hash in versioned_hashes:
            blob = await trio.to_thread.run_sync(self._reader.blob, versioned_hash)
            if blob is None:
                missing.append(versioned_hash)
            else:
                found.append(blob)
        if missing:
            return Missing(versioned_hashes=tuple(missing), source=str(self._reader.recording.path))
        return tuple(found)
