"""Blob sources whose answers are recorded."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from kroma_core.api import BlobSource, Missing
from kroma_core.node.recorder.tape import Tape
from kroma_core.types import Hash32, L1Ref


@attrs.frozen
class RecordedBlobs:
    """Another source's blobs, each on the tape before it is handed on."""

    source: BlobSource
    tape: Tape

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        answer = await self.source.blobs(block, versioned_hashes)
        if not isinstance(answer, Missing) and len(answer) == len(versioned_hashes):
            await self.tape.add_blobs(versioned_hashes, answer)
        return answer
