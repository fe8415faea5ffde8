"""The blobs that a node has read last, for those who look at the same transactions again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import trio

from kroma_core.api import BlobSource, Missing
from kroma_core.types import Hash32, L1Ref

REMEMBERED: Final = 64
"""Blobs that are kept: 8 MiB."""


@attrs.define
class RecentBlobs:
    """The blobs that the leading sources gave last, by versioned hash."""

    _kept: OrderedDict[Hash32, bytes] = attrs.field(factory=OrderedDict, init=False)

    def note(self, versioned_hash: Hash32, blob: bytes) -> None:
        self._kept[versioned_hash] = blob
        self._kept.move_to_end(versioned_hash)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)

    def of(self, versioned_hashes: Iterable[Hash32]) -> dict[Hash32, bytes]:
        """Those of them that are still there."""
        return {one: self._kept[one] for one in versioned_hashes if one in self._kept}


@attrs.frozen
class NotedBlobs:
    """A leading blob source; its answers are noted on their way, and never given twice."""

    _source: BlobSource
    _recent: RecentBlobs

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        found = await self._source.blobs(block, versioned_hashes)
        if not isinstance(found, Missing):
            for name, blob in zip(versioned_hashes, found, strict=False):
                self._recent.note(name, blob)
        return found


@attrs.frozen
class BlobsAgain:
    """What a following data source has for a blob source: the blobs that its leader got, or else the leading source."""

    _source: BlobSource
    _recent: RecentBlobs

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        held = self._recent.of(versioned_hashes)
        if len(held) == len(set(versioned_hashes)):
            await trio.lowlevel.checkpoint()
            return tuple(held[one] for one in versioned_hashes)
        return await self._source.blobs(block, versioned_hashes)
