"""Blobs from outside against the versioned hashes they were asked for by, in threads.

A commitment takes 50 to 70 ms to compute, a proof 4 to 6 ms to check.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import attrs
import trio

from kroma_core.codec.kzg import check_blob_proof, commitment_of, versioned_hash_of
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32
from kroma_da_blob.answers import FoundBlob

THREADS: Final = 2
KEPT: Final = 32
"""Checked blobs that are remembered (4 MiB): what is asked for again after a reset, or after half an answer."""


@attrs.frozen(kw_only=True)
class Checked:
    """What came of checking an answer.

    `good` are the blobs that were wanted. `wrong` says of each blob that is not what it was given for, or none at all,
    what it is; `foreign` of each blob that came by itself and is another than the wanted ones.
    """

    good: dict[Hash32, bytes] = attrs.field(factory=dict, repr=False)
    wrong: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def contradiction(self, wanted: Sequence[Hash32], count: int) -> str | None:
        """What shows that the server is wrong about a blob that is lacking, rather than without it.

        `count` blobs came. More than were wanted come from a server that does not filter: others are no mistake then.
        """
        strange = self.wrong or (self.foreign if count <= len(wanted) else ())
        lacking = next((one for one in wanted if one not in self.good), None)
        return f"expected blob 0x{lacking.hex()}, got {strange[0]}" if lacking is not None and strange else None


class BlobCheck:
    """Checks blobs, a few at a time, and remembers the last good ones."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(THREADS)
        self._kept: OrderedDict[Hash32, bytes] = OrderedDict()

    def known(self, wanted: Sequence[Hash32]) -> dict[Hash32, bytes]:
        """Those of the wanted blobs that were checked before."""
        return {one: self._kept[one] for one in wanted if one in self._kept}

    async def check(self, found: Sequence[FoundBlob], wanted: Sequence[Hash32]) -> Checked:
        """Blobs with a commitment that no wanted hash stands for are not looked at: a block has others' blobs too."""
        names: list[Hash32 | str | None] = [None] * len(found)
        hashes = frozenset(wanted)

        async def one(place: int) -> None:
            names[place] = await trio.to_thread.run_sync(_name, found[place], hashes, limiter=self._limiter)

        async with trio.open_nursery() as nursery:
            for place in range(len(found)):
                nursery.start_soon(one, place)
        good: dict[Hash32, bytes] = {}
        wrong: list[str] = []
        foreign: list[str] = []
        for item, name in zip(found, names, strict=True):
            if isinstance(name, str):
                wrong.append(name)
            elif name in hashes and name is not None:
                good[name] = item.blob
            elif item.commitment is None and name is not None:
                foreign.append(f"a blob whose commitment hashes to 0x{name.hex()}")
        self._remember(good)
        return Checked(good=good, wrong=tuple(wrong), foreign=tuple(foreign))

    def _remember(self, blobs: dict[Hash32, bytes]) -> None:
        for name, blob in blobs.items():
            self._kept[name] = blob
            self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _name(found: FoundBlob, wanted: frozenset[Hash32]) -> Hash32 | str:
    """The versioned hash that a blob proves to have; a sentence where it proves nothing. Runs in a thread."""
    claimed = found.claimed
    if claimed is not None and claimed not in wanted:
        return claimed
    try:
        if claimed is not None and _proven(found, claimed):
            return claimed
        name = versioned_hash_of(commitment_of(found.blob))
    except DecodeError as error:
        return f"under the commitment of 0x{claimed.hex()}: {error}" if claimed is not None else str(error)
    if claimed is not None and name != claimed:
        return f"under the commitment of 0x{claimed.hex()} a blob whose commitment hashes to 0x{name.hex()}"
    return name


def _proven(found: FoundBlob, claimed: Hash32) -> bool:
    """Whether the proof that came along holds. One that does not says nothing: the blob may be right all the same."""
    if found.commitment is None or found.proof is None:
        return False
    try:
        check_blob_proof(found.blob, found.commitment, found.proof, claimed)
    except DecodeError:
        return False
    return True
