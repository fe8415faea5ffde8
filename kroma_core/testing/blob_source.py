"""Conformance suite of role `blobs`: what every blob source has to do.

class TestMyBlobs(BlobSourceSuite):
    def open_source(self, l1, folder, damage=None):
        return my_source_that_has_the_blobs_of(l1)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.api import BlobSource, Missing
from kroma_core.api.shape import shape_problems
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.testing.blob_source_faults import BlobSourceFaults, hashes_of, sample_l1
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32

ABSENT: Hash32 = b"\1" + b"\x5a" * 31
REFUSALS = (TemporaryError, CriticalError)


@attrs.frozen(kw_only=True)
class BlobDamage:
    """What the place that a source reads from holds instead of a blob."""

    versioned_hash: Hash32
    data: bytes = attrs.field(repr=False)


class BlobSourceSuite(BlobSourceFaults, ABC):
    """Inherit, define `open_source`, and name the class `Test...`."""

    reads_from_outside = True
    """Whether what the source reads can be wrong."""

    @abstractmethod
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None
    ) -> AbstractAsyncContextManager[BlobSource]:
        """A source that has the blobs of `l1`. With `damage`, the place it reads from holds other bytes for one."""

    def open_plainly(self, l1: ScriptedL1, folder: Path) -> AbstractAsyncContextManager[BlobSource]:
        return self.open_source(l1, folder)

    def run(
        self,
        body: Callable[[BlobSource, list[Hash32]], Awaitable[None]],
        l1: ScriptedL1,
        folder: Path,
        damage: BlobDamage | None = None,
    ) -> None:
        async def main() -> None:
            with trio.fail_after(120):
                async with self.open_source(l1, folder, damage) as source:
                    await body(source, hashes_of(l1))

        trio.run(main)

    @level(Level.DECLARED)
    def test_the_source_has_the_methods_of_its_protocol(self, tmp_path: Path) -> None:
        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            assert shape_problems(source, BlobSource) == []

        self.run(body, sample_l1(), tmp_path)

    def test_blobs_come_whole_and_in_the_order_asked_for(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            for wanted in (hashes[:3], hashes[2::-1], hashes[1:2]):
                assert await source.blobs(l1.tip.ref, wanted) == tuple(l1.blob_content(one) for one in wanted)

        self.run(body, l1, tmp_path)

    def test_nothing_asked_for_is_nothing_found(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            assert await source.blobs(l1.tip.ref, []) == ()

        self.run(body, l1, tmp_path)

    def test_missing_blobs_are_named_and_no_others(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            answer = await source.blobs(l1.tip.ref, [hashes[0], ABSENT, hashes[1]])
            assert answer == Missing(versioned_hashes=(ABSENT,))
            assert await source.blobs(l1.tip.ref, [ABSENT]) == Missing(versioned_hashes=(ABSENT,))

        self.run(body, l1, tmp_path)

    def test_asking_again_gives_the_same(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            first = await source.blobs(l1.tip.ref, hashes[:2])
            assert await source.blobs(l1.tip.ref, hashes[:2]) == first

        self.run(body, l1, tmp_path)

    @pytest.mark.parametrize("place", [1, BLOB_SIZE - 1])
    def test_a_blob_that_contradicts_its_versioned_hash_is_refused(self, place: int, tmp_path: Path) -> None:
        if not self.reads_from_outside:
            pytest.skip("the maker says that the source makes its own blocks")
        l1 = sample_l1()
        bad = hashes_of(l1)[1]
        data = bytearray(l1.blob_content(bad))
        data[place] ^= 1

        async def body(source: BlobSource, hashes: list[Hash32]) -> None:
            with pytest.raises(REFUSALS) as caught:
                await source.blobs(l1.tip.ref, hashes[:3])
            assert bad.hex() in str(caught.value)
            assert await source.blobs(l1.tip.ref, hashes[:1]) == (l1.blob_content(hashes[0]),)

        self.run(body, l1, tmp_path, BlobDamage(versioned_hash=bad, data=bytes(data)))
