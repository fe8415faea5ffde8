"""The kit finds what it is there to find: each planted fault of a source turns its test red, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import BlobSource, Missing
from kroma_core.errors import NotFound, TemporaryError
from kroma_core.forks import Rules
from kroma_core.l1 import InboxTransaction, L1Block, L1Label
from kroma_core.testing.blob_source import BlobDamage, BlobSourceSuite
from kroma_core.testing.data_source import DataSourceSuite
from kroma_core.testing.faults import Fault, Plant
from kroma_core.testing.l1_source import Damage, L1SourceSuite
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import Hash32, L1Ref
from tests.contract.planted import red_tests

LIMIT = 120_000


@attrs.define
class CallData:
    """A right data source; `turned` is one method replaced."""

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        return tx.type != 3

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        await trio.lowlevel.checkpoint()
        return [(tx.data,) for tx in txs]

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        contents: list[bytes] = []
        for frame in frames:
            if contents and len(contents[-1]) + len(frame) <= LIMIT:
                contents[-1] += frame
            else:
                contents.append(b"\0" + frame)
        return contents


class Forgetful(CallData):
    """Claims a transaction the first time only."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def claims(self, tx: InboxTransaction, rules: Rules) -> bool:
        known = tx.hash in self.seen
        self.seen.add(tx.hash)
        return not known


class Endless(CallData):
    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [b"\0" + b"".join(frames)] if frames else []


class InBlockOrder(CallData):
    """Answers in the order of the block, whatever the order asked for."""

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        return await super().read(block, sorted(txs, key=lambda tx: tx.index))


class Emptied(CallData):
    """Has each transaction's data once."""

    def __init__(self) -> None:
        self.seen: dict[bytes, int] = {}

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        found = await super().read(block, txs)
        count = self.seen[block.hash] = self.seen.get(block.hash, 0) + 1
        return found if count != 2 or len(txs) != 3 else [() for _ in txs]


class Stuck(CallData):
    """Locks itself up when it is given up."""

    def __init__(self) -> None:
        self.busy = False

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        if self.busy:
            raise TemporaryError("busy")
        self.busy = True
        found = await super().read(block, txs)
        self.busy = False
        return found


class Shared(CallData):
    """Keeps what it reads in one place for all callers."""

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        self.current = txs
        await trio.lowlevel.checkpoint()
        return [(tx.data,) for tx in self.current]


class Plain(CallData):
    def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Any:
        return super().read(block, txs)


class Strict(CallData):
    """Stops at what it does not like."""

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        found = await super().read(block, txs)
        for tx in txs:
            if tx.data[1:] and len(tx.data) == 122 and set(tx.data[1:]) != {3}:
                raise ValueError("these are no frames")
        return found


def data_suite(source: Callable[[], Any]) -> type:
    class Suite(DataSourceSuite):
        @asynccontextmanager
        async def open_source(self, blobs: tuple[BlobSource, ...]) -> AsyncIterator[Any]:
            yield source()

        def carried(self, l1: ScriptedL1, contents: Sequence[bytes]) -> list[ScriptedTransaction]:
            return [l1.batcher_tx(content) for content in contents]

    return Suite


@pytest.mark.parametrize(
    ("source", "red"),
    [
        (CallData, set()),
        (Forgetful, {"test_it_claims_what_it_publishes_and_says_so_again"}),
        (Endless, {"test_frames_that_do_not_fit_one_transaction_take_several"}),
        (InBlockOrder, {"test_data_comes_one_tuple_a_transaction_in_the_order_asked_for"}),
        (Emptied, {"test_reading_again_gives_the_same"}),
        (Stuck, {"test_reading_that_is_given_up_anywhere_leaves_the_source_usable"}),
        (Shared, {"test_many_readers_at_once_get_each_their_own_data"}),
        (Plain, {"test_the_source_has_the_methods_of_its_protocols"}),
        (Strict, {"test_data_that_nobody_published_is_no_frame_and_breaks_nothing"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_of_data_sources_are_named(source: Any, red: set[str], tmp_path: Path) -> None:
    found = red_tests(data_suite(source), tmp_path)
    if source is Stuck or source is Shared:  # readers in parallel meet the lock as well
        found.discard("test_many_readers_at_once_get_each_their_own_data" if source is Stuck else "")
    if source is Forgetful:  # what it does not claim it leaves out of the noise as well
        found.discard("test_data_that_nobody_published_is_no_frame_and_breaks_nothing")
    assert found == red


class Garbled(CallData):
    """Reads something else than what was written."""

    async def read(self, block: L1Ref, txs: Sequence[InboxTransaction]) -> Sequence[tuple[bytes, ...]]:
        return [(tx.data[::-1],) for tx in txs]


def test_a_wrong_reading_is_told_once_and_not_by_every_reader() -> None:
    with pytest.raises(AssertionError, match="one reader alone does not get its data"):
        data_suite(Garbled)().test_many_readers_at_once_get_each_their_own_data()


@attrs.define
class Remote:
    """An L1 source and blob source that asks a scripted L1 through what a test lets go wrong; right by itself."""

    l1: ScriptedL1
    plant: Plant
    damage: Any = None

    async def asked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.plant.requests += 1
        self.plant.on_request()
        fault = self.plant.fault
        if fault is Fault.SLOW:
            await self.plant.over()
        elif fault is Fault.NOT_FOUND:
            raise NotFound("not found")
        elif fault is not None:
            return await self.at_fault(fault, call, *arguments)
        return await call(*arguments)

    async def at_fault(self, fault: Fault, call: Callable[..., Any], *arguments: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise TemporaryError(f"{fault}: no answer")

    async def head(self, label: L1Label) -> L1Ref:
        return await self.asked(self.l1.head, label)

    async def ref(self, block: Any) -> L1Ref:
        return await self.asked(self.l1.ref, block)

    async def block(self, block_hash: Hash32) -> L1Block:
        self.check(block_hash, "block")
        return await self.asked(self.l1.block, block_hash)

    async def receipts(self, block_hash: Hash32) -> Any:
        self.check(block_hash, "receipts")
        return await self.asked(self.l1.receipts, block_hash)

    def subscribe(self) -> Any:
        return self.l1.subscribe()

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> Any:
        if self.damage is not None and self.damage.versioned_hash in versioned_hashes:
            self.check_blob()
        if self.plant.fault is Fault.NOT_FOUND:
            return Missing(versioned_hashes=tuple(versioned_hashes))
        return await self.asked(self.l1.blobs, block, versioned_hashes)

    def check(self, block_hash: Hash32, part: str) -> None:
        if self.damage is not None and self.damage.block_hash == block_hash:
            raise TemporaryError(f"block 0x{block_hash.hex()} does not hash to its name")

    def check_blob(self) -> None:
        raise TemporaryError(f"blob 0x{self.damage.versioned_hash.hex()} does not hash to its name")


class EmptyForReceipts(Remote):
    """Takes an empty answer for a block without receipts."""

    async def at_fault(self, fault: Fault, call: Callable[..., Any], *arguments: Any) -> Any:
        if fault is Fault.EMPTY and call == self.l1.receipts:
            return ()
        return await super().at_fault(fault, call, *arguments)


class Truncating(Remote):
    """Takes half an answer for the whole when it comes turned around."""

    async def at_fault(self, fault: Fault, call: Callable[..., Any], *arguments: Any) -> Any:
        found = await call(*arguments)
        if fault is Fault.OUT_OF_ORDER and call == self.l1.receipts:
            return found[::-1]
        return await super().at_fault(fault, call, *arguments)


class Believing(Remote):
    """Believes what was changed on the way."""

    async def at_fault(self, fault: Fault, call: Callable[..., Any], *arguments: Any) -> Any:
        found = await call(*arguments)
        if fault is Fault.WRONG and call == self.l1.receipts:
            return found[:-1]
        return await super().at_fault(fault, call, *arguments)


class Invented(Remote):
    """Answers at once where nobody answered, and asks later."""

    async def asked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if self.plant.fault is Fault.SLOW:
            return await call(*arguments)
        return await super().asked(call, *arguments)


class ByNumber(Remote):
    """Fetches receipts by number: after a reorg they are another block's."""

    async def receipts(self, block_hash: Hash32) -> Any:
        self.check(block_hash, "receipts")
        number = (await self.l1.block(block_hash)).header.number
        self.plant.requests += 1
        self.plant.on_request()
        if self.plant.fault is not None:
            return await super().receipts(block_hash)
        canonical = [one for one in self.l1.block_hashes if await self.canonical_at(one, number)]
        return await self.l1.receipts((canonical or [block_hash])[0])

    async def canonical_at(self, block_hash: Hash32, number: int) -> bool:
        if (await self.l1.block(block_hash)).header.number != number or number > self.l1.tip.header.number:
            return False
        busy = len(self.l1.block_hashes) == 10  # the suite's chain after its reorg
        return busy and self.l1.canonical_hash(number) == block_hash


class Unchecked(Remote):
    """Does not look at hashes."""

    def check(self, block_hash: Hash32, part: str) -> None:
        return None

    def check_blob(self) -> None:
        return None


def l1_suite(source: type[Remote]) -> type:
    class Suite(L1SourceSuite):
        @asynccontextmanager
        async def open_source(self, l1: ScriptedL1, folder: Path, damage: Damage | None = None) -> AsyncIterator[Any]:
            yield source(l1, Plant(), damage)

        @asynccontextmanager
        async def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AsyncIterator[Any]:
            yield source(l1, plant)

    return Suite


@pytest.mark.parametrize(
    ("source", "red"),
    [
        (Remote, set()),
        (EmptyForReceipts, {"test_no_answer_is_a_temporary_error_and_passes"}),
        (Truncating, {"test_answers_in_another_order_are_put_right_or_refused"}),
        (Believing, {"test_what_was_changed_on_the_way_is_not_believed"}),
        (Invented, {"test_a_slow_answer_can_be_given_up_and_asked_for_again"}),
        (ByNumber, {"test_a_reorg_under_a_running_call_mixes_nothing"}),
        (Unchecked, {"test_content_that_contradicts_the_hash_is_refused"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_of_l1_sources_are_named(source: type[Remote], red: set[str], tmp_path: Path) -> None:
    assert red_tests(l1_suite(source), tmp_path) == red


class EmptyForMissing(Remote):
    """Takes an empty answer for one that says that there is no blob."""

    async def at_fault(self, fault: Fault, call: Callable[..., Any], *arguments: Any) -> Any:
        if fault is Fault.EMPTY:
            return Missing(versioned_hashes=tuple(arguments[1]))
        return await super().at_fault(fault, call, *arguments)


class ZeroForMissing(Remote):
    """Gives an empty blob for one that is not there."""

    async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> Any:
        if self.plant.fault is Fault.NOT_FOUND:
            return tuple(bytes(131_072) for _ in versioned_hashes)
        return await super().blobs(block, versioned_hashes)


def blob_suite(source: type[Remote]) -> type:
    class Suite(BlobSourceSuite):
        @asynccontextmanager
        async def open_source(
            self, l1: ScriptedL1, folder: Path, damage: BlobDamage | None = None
        ) -> AsyncIterator[Any]:
            yield source(l1, Plant(), damage)

        @asynccontextmanager
        async def open_at_fault(self, l1: ScriptedL1, folder: Path, plant: Plant) -> AsyncIterator[Any]:
            yield source(l1, plant)

    return Suite


@pytest.mark.parametrize(
    ("source", "red"),
    [
        (Remote, set()),
        (EmptyForMissing, {"test_no_answer_is_a_temporary_error_and_no_missing_blob"}),
        (ZeroForMissing, {"test_a_blob_that_is_not_found_is_no_empty_blob"}),
        (Invented, {"test_a_slow_answer_can_be_given_up_and_asked_for_again"}),
        (Unchecked, {"test_a_blob_that_contradicts_its_versioned_hash_is_refused"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_of_blob_sources_are_named(source: type[Remote], red: set[str], tmp_path: Path) -> None:
    assert red_tests(blob_suite(source), tmp_path) == red
