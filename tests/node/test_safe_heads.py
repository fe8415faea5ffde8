"""The safe-head log: what was safe after which L1 block, on disk and on its way there."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from kroma_core.errors import CriticalError, NotFound
from kroma_core.events import Event, StoreSetAside
from kroma_core.node.safe_head_store import Entry, SafeHeadStore
from kroma_core.node.safe_heads import SafeHeadLog, open_safe_heads
from kroma_core.types import BlockId
from tests.node.live_values import l1, l2


def answers(log: SafeHeadLog, numbers: range) -> list[tuple[int, int] | None]:
    """L1 number and safe number of each answer; None where the log does not tell."""
    found: list[tuple[int, int] | None] = []
    for number in numbers:
        try:
            block, safe = log.at(number)
        except NotFound:
            found.append(None)
        else:
            assert block == l1(block.number)
            found.append((block.number, safe.number))
    return found


def filled(log: SafeHeadLog) -> SafeHeadLog:
    """L1 blocks 10, 12, 14 made L2 blocks 100, 110, 120 safe."""
    for number, safe in ((10, 100), (12, 110), (14, 120)):
        log.record(l1(number), l2(safe).id)
    return log


class Kept:
    """A log in memory, on disk, or half of each: answers must be the same."""

    def __init__(self, path: Path, how: str) -> None:
        self.path, self.how = path / "log.sqlite", how
        self.events: list[Event] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SafeHeadLog]:
        if self.how == "memory":
            yield SafeHeadLog()
            return
        async with open_safe_heads(self.path, self.events.append) as log:
            yield log

    def files(self) -> list[Path]:
        return list(self.path.parent.iterdir())

    async def settle(self, log: SafeHeadLog) -> None:
        if self.how == "disk":
            await log.flush()


@pytest.fixture(params=["memory", "disk", "not written yet"])
def kept(tmp_path: Path, request: pytest.FixtureRequest) -> Kept:
    return Kept(tmp_path, request.param)


class TestAnswers:
    async def test_an_l1_block_between_two_entries_has_the_answer_of_the_lower(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            expected = [None, (10, 100), (10, 100), (12, 110), (12, 110), (14, 120), (14, 120)]
            assert answers(log, range(9, 16)) == expected

    async def test_the_last_of_an_l1_block_counts(self, kept: Kept) -> None:
        async with kept.open() as log:
            log.record(l1(10), l2(100).id)
            await kept.settle(log)
            log.record(l1(10), l2(101).id)
            await kept.settle(log)
            assert answers(log, range(10, 11)) == [(10, 101)]

    async def test_an_empty_log_knows_nothing(self, kept: Kept) -> None:
        async with kept.open() as log:
            with pytest.raises(NotFound, match="safe head at L1 block 5: the safe-head log has nothing that early"):
                log.at(5)


class TestResets:
    """Expected values are op-node's, by the rules of its safe-head database."""

    async def test_the_block_that_made_the_new_head_safe_keeps_it(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            log.reset(l2(105, origin=9))
            await kept.settle(log)
            assert answers(log, range(10, 16)) == [(10, 100), (10, 100), *[(12, 105)] * 4]

    async def test_a_head_below_the_first_entry_empties_the_log(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            log.reset(l2(90, origin=8))
            await kept.settle(log)
            assert answers(log, range(8, 16)) == [None] * 8

    async def test_entries_below_the_origin_of_the_new_head_are_not_looked_at(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            log.reset(l2(100, origin=11))
            await kept.settle(log)
            assert answers(log, range(10, 16)) == [(10, 100), (10, 100), *[(12, 100)] * 4]

    async def test_the_log_goes_on_after_a_reset(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            log.reset(l2(105, origin=9))
            log.record(l1(13), l2(111).id)
            await kept.settle(log)
            assert answers(log, range(12, 16)) == [(12, 105), (13, 111), (13, 111), (13, 111)]

    async def test_a_log_that_ends_below_the_new_head_has_a_gap(self, kept: Kept) -> None:
        """What it lacks was lost with a process that was killed, or the file was put back from a copy."""
        async with kept.open() as log:
            filled(log)
            await kept.settle(log)
            log.reset(l2(130, origin=20))
            log.record(l1(31), l2(140).id)
            await kept.settle(log)
            assert answers(log, range(14, 33)) == [(14, 120), *[None] * 16, (31, 140), (31, 140)]
            with pytest.raises(NotFound, match="the safe-head log has a gap from 15 on"):
                log.at(20)

    async def test_what_first_came_after_a_gap_is_forgotten_by_a_reset_into_it(self, kept: Kept) -> None:
        async with kept.open() as log:
            filled(log)
            log.reset(l2(130, origin=20))
            log.record(l1(31), l2(140).id)
            await kept.settle(log)
            log.reset(l2(135, origin=21))
            await kept.settle(log)
            assert answers(log, range(14, 33)) == [(14, 120), *[None] * 18]


async def test_any_mixture_of_written_and_unwritten_gives_the_same_answers(tmp_path: Path) -> None:
    dice = random.Random(7)
    for seed in range(8):
        plain = SafeHeadLog()
        async with open_safe_heads(tmp_path / f"{seed}.sqlite", lambda event: None) as log:
            number, safe = 10, 100
            for _ in range(40):
                if dice.random() < 0.15:
                    back = dice.randrange(0, 12)
                    head = l2(max(safe - 5 * back, 1), origin=max(number - 2 * back, 1))
                    safe, number = head.number, head.l1_origin.number + dice.randrange(3)
                    plain.reset(head)
                    log.reset(head)
                else:
                    number, safe = number + dice.randrange(3), safe + dice.randrange(1, 10)
                    plain.record(l1(number), l2(safe).id)
                    log.record(l1(number), l2(safe).id)
                if dice.random() < 0.2:
                    await log.flush()
                assert answers(log, range(0, 80, 3)) == answers(plain, range(0, 80, 3))
        async with open_safe_heads(tmp_path / f"{seed}.sqlite", lambda event: None) as log:
            assert answers(log, range(100)) == answers(plain, range(100))


class TestFile:
    async def test_what_was_recorded_is_there_after_a_restart(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path, "disk")
        async with kept.open() as log:
            filled(log)
        async with kept.open() as log:
            assert answers(log, range(14, 15)) == [(14, 120)]
        assert kept.events == []

    async def test_a_cancelled_node_writes_it_too(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path, "disk")
        with trio.CancelScope() as scope:
            async with kept.open() as log:
                filled(log)
                scope.cancel()
                await trio.sleep_forever()
        async with kept.open() as log:
            assert answers(log, range(14, 15)) == [(14, 120)]

    async def test_it_may_be_deleted(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path, "disk")
        async with kept.open() as log:
            filled(log)
        kept.path.unlink()
        async with kept.open() as log:
            assert answers(log, range(14, 15)) == [None]
            filled(log)
            assert answers(log, range(14, 15)) == [(14, 120)]

    @pytest.mark.parametrize("damage", ["no database", "cut", "zeroes", "another schema", "another database"])
    async def test_a_damaged_file_is_set_aside_and_begun_anew(self, tmp_path: Path, damage: str) -> None:
        kept = Kept(tmp_path, "disk")
        async with kept.open() as log:
            for number in range(1000):
                log.record(l1(number), l2(number).id)
        spoil(kept.path, damage)
        async with kept.open() as log:
            filled(log)
            await log.flush()
            answers(log, range(0, 1200, 100))
            await log.flush()
            assert answers(log, range(14, 15)) == [(14, 120)]
        (event,) = kept.events
        assert isinstance(event, StoreSetAside)
        assert event.path in [str(path) for path in kept.files()]
        assert str(kept.path) in event.reason
        async with kept.open() as log:
            assert answers(log, range(9, 15)) == [None, (10, 100), (10, 100), (12, 110), (12, 110), (14, 120)]

    async def test_a_full_disk_is_told_and_the_next_start_goes_on(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path, "disk")
        async with kept.open() as log:
            filled(log)
            await log.flush()
            store = log._store
            assert store is not None
            (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
            store._writer.execute(f"PRAGMA max_page_count = {pages}")
            for number in range(20, 2000):
                log.record(l1(number), l2(200 + number).id)
            with pytest.raises(CriticalError, match=r"write the safe-head log .*log.sqlite: .*full"):
                await log.flush()
            assert answers(log, range(30, 31)) == [(30, 230)]
            store._writer.execute("PRAGMA max_page_count = 100000")
        async with kept.open() as log:
            assert answers(log, range(30, 31)) == [(30, 230)]
        assert kept.events == []

    async def test_a_folder_in_its_place_is_told(self, tmp_path: Path) -> None:
        kept = Kept(tmp_path, "disk")
        kept.path.mkdir()
        with pytest.raises(CriticalError, match=r"open the safe-head log .*log.sqlite: unable to open"):
            async with kept.open():
                pass

    def test_a_killed_process_leaves_a_whole_file(self, tmp_path: Path) -> None:
        """It may lack the end; what it has is in order, without anything half written."""
        path = tmp_path / "log.sqlite"
        for round_ in range(3):
            child = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path)],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONPATH": "."},
            )
            assert child.stdout is not None
            for _ in range(20 + round_):
                child.stdout.readline()
            child.kill()
            child.wait()
            found = sqlite3.connect(path).execute("SELECT l1_number, safe_number FROM safe_heads").fetchall()
            assert found
            assert [safe for _, safe in found] == [10 * number for number, _ in found]
            assert [number for number, _ in found] == list(range(len(found)))


WRITER = """
import sys
from pathlib import Path
import trio
from kroma_core.node.safe_heads import open_safe_heads
from tests.node.live_values import l1, l2

async def main():
    async with open_safe_heads(Path(sys.argv[1]), print) as log:
        number = 0
        while True:
            for _ in range(10):
                log.record(l1(number), l2(10 * number).id)
                number += 1
            await log.flush()
            print(number, flush=True)

trio.run(main)
"""


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    match damage:
        case "no database":
            path.write_bytes(b"this is no database at all" * 1000)
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "zeroes":
            path.write_bytes(content[:4096] + bytes(len(content) - 4096))
        case "another schema":
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA user_version = 99")
        case "another database":
            path.unlink()
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE cats (name TEXT)")


async def test_a_reset_while_entries_are_being_written_counts(tmp_path: Path) -> None:
    written, go_on = threading.Event(), threading.Event()

    class Slow(SafeHeadStore):
        def write(self, cut: int | None, entries: Sequence[Entry]) -> None:
            super().write(cut, entries)
            written.set()
            assert go_on.wait(10)

    log = SafeHeadLog(Slow(tmp_path / "log.sqlite"))
    filled(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.flush)
        await trio.to_thread.run_sync(written.wait)
        log.reset(l2(110, origin=11))
        go_on.set()
    assert answers(log, range(10, 16)) == [(10, 100), (10, 100), (12, 110), (12, 110), (12, 110), (12, 110)]
    await log.flush()
    log.close()
    again = SafeHeadLog(SafeHeadStore(tmp_path / "log.sqlite"))
    assert answers(again, range(14, 15)) == [(12, 110)]
    again.close()


def test_an_entry_names_its_blocks_by_hash_and_number() -> None:
    log = filled(SafeHeadLog())
    assert log.at(13) == (l1(12), BlockId(l2(110).hash, 110))
