"""Conformance suite of role `data`: what every data source has to do.

class TestMyData(DataSourceSuite):
    rules = ...
    def open_source(self, blobs):
        return my_source(blobs)
    def carried(self, l1, contents):
        return [l1.batcher_tx(content) for content in contents]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest
import trio

from kroma_core.api import BlobSource, DataPublisher, DataSource, Missing
from kroma_core.api.shape import shape_problems
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import BLOB_SIZE
from kroma_core.derive.inbox import authorised
from kroma_core.errors import ResetError, TemporaryError
from kroma_core.forks import Fork, Rules
from kroma_core.l1 import InboxTransaction, L1Block
from kroma_core.testing.cancelling import STEPS, given_up_after
from kroma_core.testing.data_vectors import derive_recorded
from kroma_core.testing.engine_world import VECTORS
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.types import Hash32, L1Ref

FRAMES = tuple(bytes((index,)) * (1 + 40 * index) for index in range(6))


class PublishingSource(DataSource, DataPublisher, Protocol):
    """A data source with the capability `publishes`."""


class SilentBlobs:
    """A blob source that does not answer."""

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        raise TemporaryError("blob source: no answer")


class EmptyBlobs:
    """A blob source that answers and has nothing."""

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
        return Missing(versioned_hashes=tuple(versioned_hashes))


class DataSourceSuite(ABC):
    """Inherit, define the two methods, and name the class `Test...`."""

    rules: Rules = Rules(blobs=True)
    """Rules at a time when the source reads what `carried` makes."""
    chain = "op-bedrock.json.xz"
    """The recorded chain, of those that come with the kit, whose call data this source is to carry."""
    needs_blobs = False
    """Whether what `carried` makes is read with the help of blob sources."""

    @abstractmethod
    def open_source(self, blobs: tuple[BlobSource, ...]) -> AbstractAsyncContextManager[DataSource]:
        """The source, with these blob sources where it requires them."""

    @abstractmethod
    def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
        """Transactions of the batcher, one for each of `contents`, which the source's `encode` made."""

    def run(
        self, body: Callable[[Any], Awaitable[None]], l1: ScriptedL1, blobs: tuple[BlobSource, ...] | None = None
    ) -> None:
        async def main() -> None:
            with trio.fail_after(120):
                async with self.open_source((l1,) if blobs is None else blobs) as source:
                    await body(source)

        trio.run(main)

    async def mined(self, source: Any, l1: ScriptedL1, *frames: bytes) -> L1Block:
        """A block with one transaction for each frame, published one by one."""
        transactions = []
        for frame in frames:
            transactions += self.carried(l1, source.encode([frame]))
        return l1.mine(transactions)

    @level(Level.DECLARED)
    def test_the_source_has_the_methods_of_its_protocols(self) -> None:
        async def body(source: PublishingSource) -> None:
            assert shape_problems(source, DataSource) + shape_problems(source, DataPublisher) == []

        self.run(body, ScriptedL1(fork="cancun"))

    def test_it_claims_what_it_publishes_and_says_so_again(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            for tx in inbox(l1, await self.mined(source, l1, *FRAMES[:2])):
                assert source.claims(tx, self.rules)
                assert source.claims(tx, self.rules)

        self.run(body, l1)

    def test_frames_come_back_in_order(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            contents = source.encode(FRAMES)
            block = l1.mine(self.carried(l1, contents))
            data = await source.read(block.ref, inbox(l1, block))
            inputs = [one for found in data for one in found]
            assert all(one[:1] == b"\0" for one in inputs)
            assert b"".join(one[1:] for one in inputs) == b"".join(FRAMES)

        self.run(body, l1)

    def test_frames_that_do_not_fit_one_transaction_take_several(self) -> None:
        l1 = ScriptedL1(fork="cancun")
        frames = [_noise(bytes((index,)), 100_000) for index in range(3)]

        async def body(source: PublishingSource) -> None:
            contents = source.encode(frames)
            assert 1 < len(contents) <= len(frames)
            assert source.encode([]) == [] or tuple(source.encode([])) == ()

        self.run(body, l1)

    def test_data_comes_one_tuple_a_transaction_in_the_order_asked_for(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            block = await self.mined(source, l1, *FRAMES[:4])
            txs = inbox(l1, block)
            together = [tuple(found) for found in await source.read(block.ref, txs)]
            assert len(together) == len(txs)
            assert [tuple(found) for found in await source.read(block.ref, txs[::-1])] == together[::-1]
            for tx, found in zip(txs, together, strict=True):
                assert [tuple(one) for one in await source.read(block.ref, [tx])] == [found]
            assert list(await source.read(block.ref, [])) == []

        self.run(body, l1)

    def test_blobs_that_no_source_has_lead_to_a_reset(self) -> None:
        self._without_blobs((EmptyBlobs(), EmptyBlobs()), ResetError)

    def test_blobs_that_a_silent_source_may_have_are_asked_for_later(self) -> None:
        self._without_blobs((SilentBlobs(),), TemporaryError)
        self._without_blobs((EmptyBlobs(), SilentBlobs()), TemporaryError)

    def test_the_next_blob_source_is_asked_for_what_one_lacks(self) -> None:
        if not self.needs_blobs:
            pytest.skip("the maker says that the source needs no blobs")
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            block = await self.mined(source, l1, *FRAMES[:2])
            data = await source.read(block.ref, inbox(l1, block))
            assert [tuple(found) for found in data] == [(b"\0" + frame,) for frame in FRAMES[:2]]

        for first in (EmptyBlobs(), SilentBlobs()):
            self.run(body, l1, (first, l1))

    def test_reading_again_gives_the_same(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            block = await self.mined(source, l1, *FRAMES[:3])
            first = list(await source.read(block.ref, inbox(l1, block)))
            assert list(await source.read(block.ref, inbox(l1, block))) == first
            assert source.encode(FRAMES) == source.encode(FRAMES)

        self.run(body, l1)

    def test_a_recorded_chain_carried_this_way_derives_the_same_blocks(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            async def read_back(frame: bytes) -> tuple[bytes, ...]:
                block = l1.mine(self.carried(l1, source.encode([frame])))
                return tuple(one for found in await source.read(block.ref, inbox(l1, block)) for one in found)

            found, expected = await derive_recorded(VECTORS / self.chain, read_back)
            assert found == expected

        self.run(body, l1)

    @level(Level.FAULTS)
    def test_data_that_nobody_published_is_no_frame_and_breaks_nothing(self) -> None:
        """What stands on L1 is anybody's: random bytes in place of what the source makes."""
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            good = source.encode([FRAMES[3]])
            spoilt = [spoil(content) for content in good for spoil in (_flipped, _cut, _random)]
            block = l1.mine([*self.carried(l1, spoilt), *self.carried(l1, good)])
            txs = [tx for tx in inbox(l1, block) if source.claims(tx, self.rules)]
            try:
                data = list(await source.read(block.ref, txs))
            except (TemporaryError, ResetError):
                return  # the place that the content names may be one where nothing is
            assert len(data) == len(txs)
            assert tuple(data[-1]) == (b"\0" + FRAMES[3],)

        self.run(body, l1)

    @level(Level.FAULTS)
    def test_reading_that_is_given_up_anywhere_leaves_the_source_usable(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            block = await self.mined(source, l1, *FRAMES[:2])
            txs = inbox(l1, block)
            for steps in STEPS:
                await given_up_after(steps, lambda: source.read(block.ref, txs))
                data = await source.read(block.ref, txs)
                assert [tuple(found) for found in data] == [(b"\0" + frame,) for frame in FRAMES[:2]]

        self.run(body, l1)

    @level(Level.LOAD)
    def test_many_readers_at_once_get_each_their_own_data(self) -> None:
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            blocks = [await self.mined(source, l1, frame) for frame in FRAMES[:4]]
            wanted = [[(b"\0" + frame,)] for frame in FRAMES[:4]]
            found: dict[int, list[tuple[bytes, ...]]] = {}

            async def read(reader: int) -> None:
                block = blocks[reader % 4]
                found[reader] = [tuple(one) for one in await source.read(block.ref, inbox(l1, block))]

            await read(3)
            assert found[3] == wanted[3], "one reader alone does not get its data"
            async with trio.open_nursery() as nursery:
                for reader in range(12):
                    nursery.start_soon(read, reader)
            assert [found[reader] for reader in range(12)] == 3 * wanted

        self.run(body, l1)

    def _without_blobs(self, blobs: tuple[BlobSource, ...], error: type[Exception]) -> None:
        if not self.needs_blobs:
            pytest.skip("the maker says that the source needs no blobs")
        l1 = ScriptedL1(fork="cancun")

        async def body(source: PublishingSource) -> None:
            block = await self.mined(source, l1, FRAMES[1])
            with pytest.raises(error):
                await source.read(block.ref, inbox(l1, block))

        self.run(body, l1, blobs)


def _flipped(content: bytes) -> bytes:
    return content[:1] + bytes((content[1] ^ 0x55,)) + content[2:]


def _cut(content: bytes) -> bytes:
    return content if len(content) == BLOB_SIZE else content[:-1]


def _noise(seed: bytes, size: int) -> bytes:
    """Bytes that do not compress."""
    return b"".join(keccak256(seed + bytes((index >> 8, index & 255))) for index in range(size // 32 + 1))[:size]


def _random(content: bytes) -> bytes:
    noise = _noise(content, len(content))
    if len(content) != BLOB_SIZE:
        return content[:1] + noise[1:]
    return b"".join(b"\0" + noise[start + 1 : start + 32] for start in range(0, BLOB_SIZE, 32))


def inbox(l1: ScriptedL1, block: L1Block) -> tuple[InboxTransaction, ...]:
    """The batcher's transactions of a block."""
    config = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup
    return authorised(block, config, l1.batcher.address)
