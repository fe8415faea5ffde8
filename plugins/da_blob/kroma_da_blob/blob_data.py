"""Blobs as the batcher's way to L1: one transaction, one input per blob, in the order of its versioned hashes.

Spec: ecotone/derivation.md, "Ecotone: Blob Retrieval".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import trio

from kroma_core.api import BlobSource, Missing
from kroma_core.codec.kzg import check_blob
from kroma_core.errors import DataMissing, DecodeError, TemporaryError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction
from kroma_core.types import Hash32, L1Ref
from kroma_da_blob.codec import MAX_DATA, decode, encode

BLOB_TYPE = 3
FRAMES_VERSION = b"\x00"
"""First byte of an input that consists of frames."""


class BlobData:
    """Reads and writes batcher data in blobs.

    `sources` are asked in order, each for what those before it lack. Which blobs are the batcher's is settled: only
    authorised transactions get here.
    """

    def __init__(self, sources: Sequence[BlobSource], *, check_commitments: bool = False) -> None:
        self._sources = tuple(sources)
        self._check_commitments = check_commitments

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        """Blob transactions, once blobs carry data; their call data then counts for nothing."""
        return tx.type == BLOB_TYPE and rules.blobs

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        """The data of each transaction's blobs; a blob that does not decode contributes nothing.

        Raises `DataMissing` where every source answers and one blob is in none, `TemporaryError` where a blob is
        missing and some source did not answer.
        """
        wanted = list(dict.fromkeys(one for tx in txs for one in tx.blob_hashes))
        blobs = await self._fetch(block, wanted) if wanted else {}
        await trio.lowlevel.checkpoint()
        return [tuple(self._decoded(blobs[one] for one in tx.blob_hashes)) for tx in txs]

    def encode(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        """Frames packed into blobs, in order, as many to a blob as fit; at least one each.

        Raises `DecodeError` for a frame that no blob can hold.
        """
        contents: list[bytes] = []
        for frame in frames:
            if contents and len(contents[-1]) + len(frame) <= MAX_DATA:
                contents[-1] += frame
            else:
                contents.append(FRAMES_VERSION + frame)
        return [encode(content) for content in contents]

    async def _fetch(self, block: L1Ref, wanted: list[Hash32]) -> dict[Hash32, bytes]:
        found: dict[Hash32, bytes] = {}
        silent: list[TemporaryError] = []
        empty: list[str] = []
        for source in self._sources:
            lacking = [one for one in wanted if one not in found]
            if not lacking:
                break
            try:
                found |= await self._ask(source, block, lacking, empty)
            except TemporaryError as error:
                silent.append(error)
        lacking = [one for one in wanted if one not in found]
        if lacking:
            what = f"blob 0x{lacking[0].hex()} of L1 block {block.id}"
            more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
            if silent:
                raise TemporaryError(f"fetch {what}{more}: {silent[0]}") from silent[0]
            asked = f" ({', '.join(empty)})" if empty else ""
            raise DataMissing(
                f"fetch {what}{more}: expected from one of {len(self._sources)} blob sources{asked}, none has it"
            )
        return found

    async def _ask(
        self, source: BlobSource, block: L1Ref, wanted: list[Hash32], empty: list[str]
    ) -> dict[Hash32, bytes]:
        """What one source has of `wanted`: all at once, and if some are missing, the others again.

        The name of a source that lacks one is added to `empty`.
        """
        answer = await source.blobs(block, wanted)
        if isinstance(answer, Missing):
            empty += filter(None, [answer.source])
            rest = [one for one in wanted if one not in answer.versioned_hashes]
            if not rest or len(rest) == len(wanted):
                return {}
            answer = await source.blobs(block, rest)
            if isinstance(answer, Missing):
                raise TemporaryError(f"blob source gives two answers about the blobs of L1 block {block.id}")
            wanted = rest
        if len(answer) != len(wanted):
            raise TemporaryError(f"blob source: expected {len(wanted)} blobs of L1 block {block.id}, got {len(answer)}")
        if self._check_commitments:
            for versioned_hash, blob in zip(wanted, answer, strict=True):
                try:
                    await trio.to_thread.run_sync(check_blob, blob, versioned_hash)
                except DecodeError as error:
                    raise TemporaryError(f"blob source: blobs of L1 block {block.id}: {error}") from error
        return dict(zip(wanted, answer, strict=True))

    def _decoded(self, blobs: Iterable[bytes]) -> Iterator[bytes]:
        for blob in blobs:
            try:
                yield decode(blob)
            except DecodeError:
                continue  # the batcher's mistake, not the source's: its commitment was right
