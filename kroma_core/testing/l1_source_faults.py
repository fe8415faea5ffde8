"""Conformance of role `l1` when things go wrong: part of `L1SourceSuite`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.api import L1Source
from kroma_core.errors import CriticalError, NotFound, ResetError, TemporaryError
from kroma_core.testing.cancelling import STEPS, given_up_after
from kroma_core.testing.faults import SILENT, Fault, Plant
from kroma_core.testing.levels import Level, level
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Number

NO_FAULTS = "the maker has no `open_at_fault`: how the part meets a failing server was not shown"


def busy_l1() -> ScriptedL1:
    """An L1 with something in every block, and no abandoned branch."""
    l1 = ScriptedL1(fork="cancun")
    for number in range(6):
        deposit = l1.deposit(sender=b"\1" * 20, to=b"\2" * 20, mint=10**18, data=bytes((number,)) * 40)
        l1.mine([l1.batcher_tx(bytes((0, number)) * 30), deposit])
    return l1


class L1SourceFaults:
    """What the suite asks of a source whose server fails, whose callers give up, whose chain changes."""

    def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AbstractAsyncContextManager[L1Source] | None:
        """A source that shows `l1` as it is now, through whatever lets go wrong what `plant` says.

        `faults.fault_front` is that for HTTP. None for a source that asks nobody.
        """
        return None

    def open_plainly(self, l1: ScriptedL1, folder: Path) -> AbstractAsyncContextManager[L1Source]:
        """The source without faults."""
        raise TypeError(f"{type(self).__name__} is no suite by itself")

    def at_fault(self, body: Callable[[L1Source, Plant], Awaitable[None]], l1: ScriptedL1, folder: Path) -> None:
        plant = Plant()
        opened = self.open_at_fault(l1, folder, plant)
        if opened is None:
            pytest.skip(NO_FAULTS)

        async def main() -> None:
            with trio.fail_after(60):
                async with opened as source:
                    await body(source, plant)

        trio.run(main)

    def plainly(self, body: Callable[[L1Source], Awaitable[None]], l1: ScriptedL1, folder: Path) -> None:
        async def main() -> None:
            with trio.fail_after(60):
                async with self.open_plainly(l1, folder) as source:
                    await body(source)

        trio.run(main)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.replace(" ", "-"))
    def test_no_answer_is_a_temporary_error_and_passes(self, fault: Fault, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source, plant: Plant) -> None:
            for number, ask in ((4, source.block), (5, source.receipts)):
                target = l1.canonical_hash(number)
                plant.fault = fault
                with pytest.raises(TemporaryError):
                    await ask(target)
                plant.clear()
                await assert_true(source, l1, target)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_a_missing_endpoint_is_no_empty_block(self, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source, plant: Plant) -> None:
            plant.fault = Fault.NOT_FOUND
            for ask in (source.block, source.receipts):
                with pytest.raises((TemporaryError, NotFound)):
                    await ask(l1.canonical_hash(4))
            plant.clear()
            await assert_true(source, l1, l1.canonical_hash(4))

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_a_slow_answer_can_be_given_up_and_asked_for_again(self, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source, plant: Plant) -> None:
            plant.fault = Fault.SLOW
            with trio.move_on_after(0.2) as waiting:
                await source.block(l1.canonical_hash(3))
            assert waiting.cancelled_caught, "there was an answer although the server gave none"
            plant.clear()
            await assert_true(source, l1, l1.canonical_hash(3))

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8, 0.95])
    def test_what_was_changed_on_the_way_is_not_believed(self, place: float, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source, plant: Plant) -> None:
            for number in (4, 5):
                target = l1.canonical_hash(number)
                plant.fault, plant.place = Fault.WRONG, place
                await assert_true_or_refused(source, l1, target)
                plant.clear()
                await assert_true(source, l1, target)

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    def test_answers_in_another_order_are_put_right_or_refused(self, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source, plant: Plant) -> None:
            plant.fault = Fault.OUT_OF_ORDER
            for number in range(1, 5):
                await assert_true_or_refused(source, l1, l1.canonical_hash(number))
            plant.clear()
            await assert_true(source, l1, l1.canonical_hash(4))

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("requests", [1, 2, 3])
    def test_a_reorg_under_a_running_call_mixes_nothing(self, requests: int, tmp_path: Path) -> None:
        l1 = busy_l1()
        old, number = l1.tip.hash, L1Number(l1.tip.header.number)

        async def body(source: L1Source, plant: Plant) -> None:
            reach = plant.requests + requests

            def reorg() -> None:
                if plant.requests == reach:
                    l1.reorg(2)
                    l1.mine([l1.batcher_tx(b"\0another branch")])
                    l1.mine_empty(2)

            plant.on_request = reorg
            refs = [l1.tip.ref]
            for _ in range(3):
                await assert_true_or_refused(source, l1, old)
                with suppress(NotFound, TemporaryError, ResetError):
                    refs.append(await source.ref(number))
            known = {l1.content(one.hash).header for one in refs}
            assert len(known) <= 2

        self.at_fault(body, l1, tmp_path)

    @level(Level.FAULTS)
    @pytest.mark.parametrize("method", ["ref", "block", "receipts"])
    def test_a_call_that_is_given_up_anywhere_leaves_the_source_usable(self, method: str, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source) -> None:
            for turn, steps in enumerate(STEPS):
                target = l1.canonical_hash(1 + turn % 6)
                call = getattr(source, method)
                await given_up_after(steps, lambda call=call, target=target: call(target))  # type: ignore[misc]  # no type for bound defaults
                await assert_true(source, l1, target)

        self.plainly(body, l1, tmp_path)

    @level(Level.LOAD)
    def test_many_callers_at_once_get_each_their_own_answer(self, tmp_path: Path) -> None:
        l1 = busy_l1()

        async def body(source: L1Source) -> None:
            async with trio.open_nursery() as nursery:
                for turn in range(40):
                    nursery.start_soon(assert_true, source, l1, l1.canonical_hash(turn % 7))

        self.plainly(body, l1, tmp_path)


async def assert_true(source: L1Source, l1: ScriptedL1, block_hash: Hash32) -> None:
    """The source has the block as the script made it."""
    block, receipts = await source.block(block_hash), await source.receipts(block_hash)
    truth = l1.content(block_hash)
    assert (block.hash, block.header.encode(), block.transactions) == (block_hash, truth.header, truth.transactions)
    assert tuple(receipt.encode() for receipt in receipts) == truth.receipts


async def assert_true_or_refused(source: L1Source, l1: ScriptedL1, block_hash: Hash32) -> None:
    """What the source gives is as the script made it; or it says that it has no answer."""
    truth = l1.content(block_hash)
    block = await _unless_refused(source.block, block_hash)
    assert block is None or (block.header.encode(), block.transactions) == (truth.header, truth.transactions)
    receipts = await _unless_refused(source.receipts, block_hash)
    assert receipts is None or tuple(receipt.encode() for receipt in receipts) == truth.receipts


async def _unless_refused(ask: Callable[[Hash32], Awaitable[Any]], block_hash: Hash32) -> Any:
    try:
        return await ask(block_hash)
    except (TemporaryError, CriticalError, NotFound, ResetError):
        return None
