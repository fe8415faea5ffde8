"""Conformance suite of role `l1`: what every L1 source has to do.

    class TestMySource(L1SourceSuite):
        def open_source(self, l1, folder, damage=None):
            return my_source_that_shows(l1)

The suite writes an L1 (`ScriptedL1`); the subclass opens a source that shows it: from a file, from a server that it
starts, or however the source gets its blocks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.api import L1Source
from kroma_core.api.shape import shape_problems
from kroma_core.errors import CriticalError, NotFound, TemporaryError
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.testing.l1_source_faults import L1SourceFaults
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_blocks import BlockContent
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Number

ABSENT: Hash32 = b"\x5a" * 32
REFUSALS = (TemporaryError, CriticalError)
"""How a source may refuse what contradicts a hash: ask again elsewhere, or its own store is damaged."""


@attrs.frozen(kw_only=True)
class Damage:
    """What the place that a source reads from holds instead of a block's true content."""

    block_hash: Hash32
    content: BlockContent


def sample_l1() -> ScriptedL1:
    """An L1 with deposits, batcher transactions of both kinds of envelope, and a branch that was abandoned."""
    l1 = ScriptedL1(fork="cancun")
    l1.mine([l1.batcher_tx(b"\0first"), l1.deposit(sender=b"\1" * 20, to=b"\2" * 20, mint=10**18, data=b"hello")])
    l1.mine_empty(2)
    l1.mine([l1.batcher_tx(b"\0abandoned")])
    l1.mine()
    l1.reorg(2)
    l1.mine([l1.batcher_tx(b"\0second", kind=0), l1.config_update(2, 40_000_000)])
    l1.mine_empty(3)
    l1.mine([l1.batcher_tx(bytes((index,)) * 40) for index in range(5)])
    return l1


class L1SourceSuite(L1SourceFaults, ABC):
    """Inherit, define `open_source`, and name the class `Test...`."""

    keeps_abandoned_blocks = True
    """Whether the source must still have blocks of abandoned branches by hash; otherwise it may forget them."""

    reads_from_outside = True
    """Whether what the source reads can be wrong; an L1 that makes its own blocks has nothing to check."""

    @abstractmethod
    def open_source(
        self, l1: ScriptedL1, folder: Path, damage: Damage | None = None
    ) -> AbstractAsyncContextManager[L1Source]:
        """A source that shows the whole timeline of `l1`, standing at its end; `folder` is empty and the source's own.

        With `damage`, the place it reads from holds other content for one block (not the head), and it has seen no
        head but the last.
        """

    def open_plainly(self, l1: ScriptedL1, folder: Path) -> AbstractAsyncContextManager[L1Source]:
        return self.open_source(l1, folder)

    def run(
        self, body: Callable[[L1Source], Awaitable[None]], l1: ScriptedL1, folder: Path, damage: Damage | None = None
    ) -> None:
        async def main() -> None:
            with trio.fail_after(60):
                async with self.open_source(l1, folder, damage) as source:
                    await body(source)

        trio.run(main)

    @level(Level.DECLARED)
    def test_the_source_has_the_methods_of_its_protocol(self, tmp_path: Path) -> None:
        async def body(source: L1Source) -> None:
            assert shape_problems(source, L1Source) == []

        self.run(body, sample_l1(), tmp_path)

    def test_the_head_is_the_last_block(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            assert await source.head(L1Label.UNSAFE) == l1.tip.ref

        self.run(body, l1, tmp_path)

    def test_safe_and_finalized_heads_are_those_of_the_l1(self, tmp_path: Path) -> None:
        l1 = sample_l1()
        finalized, safe = l1.genesis, l1.tip
        l1.mine()
        l1.mark(L1Label.SAFE, safe)
        l1.mark(L1Label.FINALIZED, finalized)

        async def body(source: L1Source) -> None:
            assert await source.head(L1Label.SAFE) == safe.ref
            assert await source.head(L1Label.FINALIZED) == finalized.ref

        self.run(body, l1, tmp_path)

    def test_every_canonical_block_is_found_by_number_and_by_hash(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            parent = l1.genesis.header.parent_hash
            for number in range(l1.genesis.header.number, l1.tip.header.number + 1):
                ref = await source.ref(L1Number(number))
                assert (ref.number, ref.parent_hash) == (number, parent)
                assert await source.ref(ref.hash) == ref
                parent = ref.hash
            assert parent == l1.tip.hash

        self.run(body, l1, tmp_path)

    def test_blocks_above_the_head_are_not_found(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            for distance in (1, 2, 1000):
                with pytest.raises(NotFound):
                    await source.ref(L1Number(l1.tip.header.number + distance))

        self.run(body, l1, tmp_path)

    def test_an_unknown_hash_is_not_found_by_any_method(self, tmp_path: Path) -> None:
        async def body(source: L1Source) -> None:
            for ask in (source.ref, source.block, source.receipts):
                with pytest.raises(NotFound):
                    await ask(ABSENT)

        self.run(body, sample_l1(), tmp_path)

    def test_blocks_and_receipts_are_complete_and_the_same_each_time(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            for number in range(l1.genesis.header.number, l1.tip.header.number + 1):
                block_hash = (await source.ref(L1Number(number))).hash
                for _ in range(2):
                    block, receipts = await source.block(block_hash), await source.receipts(block_hash)
                    truth = l1.content(block_hash)
                    assert block.hash == block_hash
                    assert block.header.encode() == truth.header
                    assert block.transactions == truth.transactions
                    assert tuple(receipt.encode() for receipt in receipts) == truth.receipts

        self.run(body, l1, tmp_path)

    def test_blocks_of_abandoned_branches_are_themselves_or_not_found(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            for block_hash in l1.block_hashes:
                try:
                    block = await source.block(block_hash)
                except NotFound:
                    assert not self.keeps_abandoned_blocks
                else:
                    assert (block.hash, block.transactions) == (block_hash, l1.content(block_hash).transactions)

        self.run(body, l1, tmp_path)

    def test_the_heads_begin_with_the_current_ones(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            first = await anext(aiter(source.subscribe()))
            assert first.unsafe == await source.head(L1Label.UNSAFE)
            assert first.unsafe == l1.tip.ref

        self.run(body, l1, tmp_path)

    def test_a_cancelled_wait_leaves_the_source_usable(self, tmp_path: Path) -> None:
        l1 = sample_l1()

        async def body(source: L1Source) -> None:
            with trio.move_on_after(0.05):
                async for _ in source.subscribe():
                    await trio.lowlevel.checkpoint()
            with trio.CancelScope() as scope:
                scope.cancel()
                await source.block(l1.tip.hash)
            assert (await source.block(l1.tip.hash)).hash == l1.tip.hash

        self.run(body, l1, tmp_path)

    @pytest.mark.parametrize("part", ["header", "transactions", "receipts", "fewer transactions", "fewer receipts"])
    def test_content_that_contradicts_the_hash_is_refused(self, part: str, tmp_path: Path) -> None:
        if not self.reads_from_outside:
            pytest.skip("the maker says that the source makes its own blocks")
        l1 = sample_l1()
        bad = l1.tip
        l1.mine()
        damage = Damage(block_hash=bad.hash, content=damaged(l1.content(bad.hash), part))

        async def body(source: L1Source) -> None:
            ask = source.receipts if part.endswith("receipts") else source.block
            with pytest.raises(REFUSALS) as caught:
                await ask(bad.hash)
            assert bad.hash.hex() in str(caught.value)
            parent = bad.header.parent_hash
            assert (await source.block(parent)).hash == parent

        self.run(body, l1, tmp_path, damage)


def damaged(content: BlockContent, part: str) -> BlockContent:
    """The content with one bit of `part` changed, or with one item less."""
    if part == "header":
        return attrs.evolve(content, header=_flipped(content.header))
    if part.endswith("transactions"):
        return attrs.evolve(content, transactions=_changed(content.transactions, part))
    return attrs.evolve(content, receipts=_changed(content.receipts, part))


def _changed(items: tuple[bytes, ...], part: str) -> tuple[bytes, ...]:
    return items[:-1] if part.startswith("fewer") else (*items[:-1], _flipped(items[-1]))


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


async def collected(heads: AsyncIterator[L1Heads]) -> list[L1Heads]:
    """All items of a subscription that ends."""
    return [one async for one in heads]
