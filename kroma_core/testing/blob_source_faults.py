"""Conformance of role `blobs` when things go wrong: part of `BlobSourceSuite`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest
import trio

from kroma_core.api import BlobSource, Missing
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.codec.transactions import decode_transaction
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.testing.cancelling import STEPS, given_up_after
from kroma_core.testing.faults import SILENT, Fault, Plant
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32

NO_FAULTS = "the maker has no `open_at_fault`: how the part meets a failing server was not shown"


def sample_blob(content: bytes) -> bytes:
    """A blob that begins with `content`, which must be short enough for two field elements."""
    return (b"\0" + content[:31].ljust(31, b"\0") + b"\0" + content[31:62]).ljust(BLOB_SIZE, b"\0")


def sample_l1() -> ScriptedL1:
    """An L1 whose last block has two blob transactions of three and one blobs, two of them equal."""
    l1 = ScriptedL1(fork="cancun")
    blobs = [sample_blob(text) for text in (b"one", b"two", b"three", b"one")]
    l1.mine([l1.blob_tx(blobs[:3]), l1.blob_tx(blobs[3:])])
    return l1


def hashes_of(l1: ScriptedL1) -> list[Hash32]:
    """Versioned hashes of the last block's blobs, in order."""
    return [one for raw in l1.tip.transactions for one in decode_transaction(raw).blob_hashes]


class BlobSourceFaults:
    """What the suite asks of a source whose server fails and whose callers give up."""

    def open_at_fault(
        self, l1: ScriptedL1, folder: Path, plant: Plant
    ) -> AbstractAsyncContextManager[BlobSource] | None:
        """A source that has the blobs of `l1`, through whatever lets go wrong what `plant` says.

        `faults.fault_front` is that for HTTP. None for a source that asks nobody.
        """
        return None

    def open_plainly(self, l1: ScriptedL1, folder: Path) -> AbstractAsyncContextManager[BlobSource]:
        """The source without faults."""
        raise TypeError(f"{type(self).__name__} is no suite by itself")

    def at_fault(self, body: Callable[[BlobSource, Plant], Awaitable[None]], l1: ScriptedL1, folder: Path) -> None:
        plant = Plant()
        opened = self.open_at_fault(l1, folder, plant)
        if opened is None:
            pytest.skip(NO_FAULTS)

        async def main() -> None:
            with trio.fail_after(120):
                async with opened as source:
                    await body(source, plant)

        trio.run(main)

    def plainly(self, body: Callable[[BlobSource], Awaitable[None]], l1: ScriptedL1, folder: Path) -> None:
        async def main() -> None:
            with trio.fail_after(120):
                async with self.open_plainly(l1, folder) as source:
                    await body(source)

        trio.run(main)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.replace(" ", "-"))
    def test_no_answer_is_a_temporary_error_and_no_missing_blob(self, fault: Fault, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, plant: Plant) -> None:
            plant.fault = fault
            with pytest.raises(TemporaryError):
                await source.blobs(l1.tip.ref, hashes_of(l1)[:2])
            plant.clear()
            await assert_true(source, l1)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_a_blob_that_is_not_found_is_no_empty_blob(self, tmp_path: Path) -> None:
        l1 = sample_l1()
        hashes = hashes_of(l1)[:2]

        async def body(source: BlobSource, plant: Plant) -> None:
            plant.fault = Fault.NOT_FOUND
            with suppress(TemporaryError):
                assert await source.blobs(l1.tip.ref, hashes) == Missing(versioned_hashes=tuple(hashes))
            plant.clear()
            await assert_true(source, l1)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_a_slow_answer_can_be_given_up_and_asked_for_again(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource, plant: Plant) -> None:
            plant.fault = Fault.SLOW
            with trio.move_on_after(0.2) as waiting:
                await source.blobs(l1.tip.ref, hashes_of(l1)[:1])
            assert waiting.cancelled_caught, "there was an answer although the server gave none"
            plant.clear()
            await assert_true(source, l1)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("fault", [Fault.WRONG, Fault.OUT_OF_ORDER], ids=["wrong", "out-of-order"])
    def test_what_was_changed_on_the_way_is_put_right_or_refused(self, fault: Fault, tmp_path: Path) -> None:
        l1 = sample_l1()
        hashes = hashes_of(l1)[:3]

        async def body(source: BlobSource, plant: Plant) -> None:
            plant.fault = fault
            try:
                found = await source.blobs(l1.tip.ref, hashes)
            except (TemporaryError, CriticalError):
                found = Missing(versioned_hashes=())
            if not isinstance(found, Missing):
                assert found == tuple(l1.blob_content(one) for one in hashes)
            plant.clear()
            await assert_true(source, l1)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_a_call_that_is_given_up_anywhere_leaves_the_source_usable(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource) -> None:
            for steps in STEPS[::3]:
                await given_up_after(steps, lambda: source.blobs(l1.tip.ref, hashes_of(l1)[:2]))
                await assert_true(source, l1, 1)

        self.plainly(body, l1, tmp_path)

    @level(Level.LOAD)
    def test_many_callers_at_once_get_each_their_own_blobs(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: BlobSource) -> None:
            async with trio.open_nursery() as nursery:
                for turn in range(6):
                    nursery.start_soon(assert_true, source, l1, 1 + turn % 3)

        self.plainly(body, l1, tmp_path)


async def assert_true(source: BlobSource, l1: ScriptedL1, count: int = 2) -> None:
    """The source has the first blobs as the script made them."""
    hashes = hashes_of(l1)[:count]
    assert await source.blobs(l1.tip.ref, hashes) == tuple(l1.blob_content(one) for one in hashes)
