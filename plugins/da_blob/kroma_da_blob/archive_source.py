"""Blobs of an archive: whatever answers a GET with blobs, by versioned hash, by slot, or by L1 block.

The URL says which: one with `{versioned_hash}` is asked for each blob, one with `{slot}`, `{block_hash}` or
`{block_number}` once for all blobs of a block. The answer may be a blob's bytes, or JSON in any form that
`answers.blobs_in` knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import trio

from kroma_core.api import Missing
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.errors import DecodeError, TemporaryError
from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import OK
from kroma_core.types import Hash32, L1Ref
from kroma_da_blob import answers
from kroma_da_blob.answers import FoundBlob, SlotClock
from kroma_da_blob.checking import BlobCheck
from kroma_da_blob.web import ABSENT, Answer, BlobServer

PLACES: Final = ("versioned_hash", "slot", "block_hash", "block_number")
_PLACE = re.compile(r"\{(\w*)\}")
_WHAT = "archive"


def places_in(url: str) -> tuple[str, ...]:
    """The names in braces in a URL."""
    return tuple(_PLACE.findall(url))


def filled(url: str, values: Mapping[str, str]) -> str:
    """The URL with what is known of the names in braces put in their place."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), url)


class ArchiveBlobs:
    """A blob source on an archive, whose server was opened with the URL that has the places.

    404, 410 and an empty list are `Missing`. What contradicts a versioned hash is a `TemporaryError` that names it.
    """

    def __init__(self, server: BlobServer, *, clock: SlotClock | None) -> None:
        self._server, self._clock = server, clock
        self._each = "versioned_hash" in places_in(server.target)
        self.check = BlobCheck()

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        wanted = tuple(dict.fromkeys(versioned_hashes))
        found = self.check.known(wanted)
        await trio.lowlevel.checkpoint()
        said = ""
        if self._each:
            for one in wanted:
                if one not in found:
                    more, said_now = await self._ask(self._values(block) | {"versioned_hash": f"0x{one.hex()}"}, [one])
                    found, said = found | more, said or said_now
        elif len(found) < len(wanted):
            more, said = await self._ask(self._values(block), [one for one in wanted if one not in found])
            found |= more
        missing = tuple(one for one in wanted if one not in found)
        if missing:
            return Missing(versioned_hashes=missing, source=f"{self._server.name}: {said}")
        return tuple(found[one] for one in versioned_hashes)

    async def _ask(self, values: Mapping[str, str], wanted: Sequence[Hash32]) -> tuple[dict[Hash32, bytes], str]:
        """What the archive has of `wanted`, checked, and what it says where it lacks some."""
        answer = await self._server.get(filled(self._server.target, values), what=_WHAT)
        if answer.status in ABSENT:
            return {}, f"{answer.status}{f' ({answer.said})' if answer.said else ''}"
        if answer.status != OK:
            reason = f"expected HTTP status 200, got {answer.status}{f': {answer.said}' if answer.said else ''}"
            raise self._server.failed(_WHAT, Failure.STATUS, reason, answer.status)
        found = self._read(answer)
        if not found:
            return {}, "an empty list"
        checked = await self.check.check(found, wanted)
        contradiction = checked.contradiction(wanted, len(found))
        if contradiction is None and self._each and not checked.good:
            contradiction = f"expected blob 0x{wanted[0].hex()}, got another"
        if contradiction is not None:
            raise self._server.failed(_WHAT, Failure.MALFORMED, contradiction)
        return checked.good, f"{len(found)} blobs, not these" if len(checked.good) < len(wanted) else ""

    def _read(self, answer: Answer) -> tuple[FoundBlob, ...]:
        try:
            if "json" not in answer.content_type and len(answer.body) == BLOB_SIZE:
                return (answers.raw_blob(answer.body),)
            return answers.blobs_in(self._server.json(answer, _WHAT))
        except DecodeError as error:
            raise self._server.failed(_WHAT, Failure.MALFORMED, str(error)) from error

    def _values(self, block: L1Ref) -> dict[str, str]:
        values = {"block_hash": f"0x{block.hash.hex()}", "block_number": str(block.number)}
        if self._clock is not None:
            try:
                values["slot"] = str(self._clock.slot(block.timestamp))
            except DecodeError as error:
                raise TemporaryError(
                    f"fetch blobs of L1 block {block.id} from {self._server.name}: {error}: are genesis_time and "
                    "slot_seconds those of this L1?"
                ) from error
        return values
