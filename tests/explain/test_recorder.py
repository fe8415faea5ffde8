"""What a running node keeps: written beside it, bounded, whole after a kill, and never in its way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kroma_core.errors import CriticalError
from kroma_core.events import BlockDerived, Event, L1Traversed, PipelineReset, StoreSetAside, Warned
from kroma_core.node.explain.ledger import Ledger
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.explain.store import StoreProblem, VerdictStore
from kroma_core.node.profile import ExplainTable
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref, Timestamp

GENESIS = BlockId(bytes(32), 0)
RESET = PipelineReset(reason="start", safe=GENESIS, l1_start=GENESIS)


def l1_block(number: int) -> L1Traversed:
    hash, parent = number.to_bytes(32, "big"), (number - 1).to_bytes(32, "big")
    return L1Traversed(
        block=L1Ref(hash=hash, number=L1Number(number), parent_hash=parent, timestamp=Timestamp(12 * number))
    )


def derived(number: int, l1: int) -> BlockDerived:
    block = L2Ref(
        hash=number.to_bytes(32, "big"), number=L2Number(number), parent_hash=(number - 1).to_bytes(32, "big"),
        timestamp=Timestamp(2 * number), l1_origin=BlockId(l1.to_bytes(32, "big"), l1), sequence_number=0,
    )  # fmt: skip
    source = BlockId(l1.to_bytes(32, "big"), l1)
    return BlockDerived(block=block, derived_from=source, batch="span", transactions=1, gas_used=1, consolidated=False)


def story(first: int, last: int) -> list[Event]:
    return [event for number in range(first, last + 1) for event in (l1_block(number), derived(number, number))]


def numbers(path: Path, void: int = 0) -> list[int]:
    with closing(VerdictStore(path, read_only=True)) as store:
        return [row[0] for row in store.rows("SELECT number FROM blocks WHERE void = ? ORDER BY id", void)]


async def test_events_from_before_the_store_was_open_are_kept(tmp_path: Path) -> None:
    recorder = VerdictRecorder(ExplainTable(), clock=lambda: 1000.0)
    recorder.on_event(RESET)
    for event in story(1, 2):
        recorder.on_event(event)
    async with recorder.kept_in(tmp_path / "explain.sqlite", lambda event: None):
        for event in story(3, 4):
            recorder.on_event(event)
        async with recorder.reading() as store:
            assert store is not None
            assert store.rows("SELECT count(*) FROM blocks") == [(4,)]
    assert numbers(tmp_path / "explain.sqlite") == [1, 2, 3, 4]


async def test_it_goes_on_after_a_restart_and_marks_what_is_derived_again(tmp_path: Path) -> None:
    path = tmp_path / "explain.sqlite"
    for events in ([RESET, *story(1, 5)], [PipelineReset(reason="start", safe=BlockId(b"\2" * 32, 2),
                                                          l1_start=BlockId(b"\1" * 32, 1)), *story(3, 4)]):  # fmt: skip
        recorder = VerdictRecorder(ExplainTable(), clock=lambda: 1000.0)
        async with recorder.kept_in(path, lambda event: None):
            for event in events:
                recorder.on_event(event)
    assert numbers(path) == [1, 2, 3, 4]
    assert numbers(path, void=1) == [3, 4, 5]


async def test_a_damaged_file_is_set_aside_with_an_event(tmp_path: Path) -> None:
    path = tmp_path / "explain.sqlite"
    path.write_bytes(b"not a database, whatever its name says" * 200)
    told: list[Event] = []
    async with VerdictRecorder(ExplainTable(), clock=lambda: 1000.0).kept_in(path, told.append):
        pass
    assert [type(event) for event in told] == [StoreSetAside]
    assert numbers(path) == []


async def test_a_store_that_cannot_be_written_is_given_up_and_the_node_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    told: list[Event] = []
    recorder = VerdictRecorder(ExplainTable(), clock=lambda: 1000.0)
    async with recorder.kept_in(tmp_path / "in the way" / "explain.sqlite", told.append):
        recorder.on_event(l1_block(1))
        async with recorder.reading() as store:
            assert store is None
    assert [type(event) for event in told] == [Warned]


async def test_why_a_node_ended_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "explain.sqlite"
    with pytest.raises(CriticalError):
        async with VerdictRecorder(ExplainTable(), clock=lambda: 1000.0).kept_in(path, lambda event: None):
            raise CriticalError("the engine made another block")
    with closing(VerdictStore(path, read_only=True)) as store:
        ((value,),) = store.rows("SELECT value FROM state WHERE key = 'ended'")
    assert "the engine made another block" in value


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_every_block_is_written_in_its_order_however_many_come_at_once(tmp_path: Path, count: int) -> None:
    with closing(VerdictStore(tmp_path / "explain.sqlite")) as store:
        store.write(Ledger().changes([RESET, *story(1, count)], 1000.0))
        found = store.rows("SELECT number, hash, l1 FROM blocks ORDER BY id")
    told = [event for event in story(1, count) if isinstance(event, BlockDerived)]
    assert found == [(one.block.number, one.block.hash, one.derived_from.number) for one in told]
    assert len(found) == count


def test_the_oldest_is_given_up_first_where_there_is_too_much(tmp_path: Path) -> None:
    with closing(VerdictStore(tmp_path / "explain.sqlite")) as store:
        store.write(Ledger().changes([RESET, *story(1, 20_000)], 1000.0))
        assert store.bytes_used > 1 << 20
        store.keep_within(oldest=0.0, max_bytes=1 << 20)
        assert store.bytes_used <= 1 << 20
        ((least, most),) = store.rows("SELECT min(number), max(number) FROM blocks")
    assert least > 1000
    assert most == 20_000


def test_what_is_too_old_is_given_up(tmp_path: Path) -> None:
    ledger = Ledger()
    with closing(VerdictStore(tmp_path / "explain.sqlite")) as store:
        store.write(ledger.changes([RESET, *story(1, 5)], 1000.0))
        store.write(ledger.changes(story(6, 7), 2000.0))
        store.keep_within(oldest=1500.0, max_bytes=1 << 30)
        assert store.rows("SELECT l1 FROM l1_blocks") == [(6,), (7,)]


def test_another_schema_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "explain.sqlite")) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreProblem, match="expected a verdict store of schema 1, got schema 99"):
        VerdictStore(tmp_path / "explain.sqlite")


_WRITER = """
import sys, trio
from pathlib import Path
from kroma_core.node.explain.recorder import VerdictRecorder
from kroma_core.node.profile import ExplainTable
from tests.explain.test_recorder import RESET, story

async def main():
    recorder = VerdictRecorder(ExplainTable(), clock=lambda: 1000.0)
    async with recorder.kept_in(Path(sys.argv[1]), lambda event: None):
        recorder.on_event(RESET)
        first = 1
        while True:
            for event in story(first, first + 99):
                recorder.on_event(event)
            first += 100
            await recorder.flush()
            print(first - 1, flush=True)

trio.run(main)
"""


def test_a_killed_process_leaves_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "explain.sqlite"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        written = [int(process.stdout.readline()) for _ in range(5)][-1]
        os.kill(process.pid, signal.SIGKILL)
    found = numbers(path)
    assert found[:written] == list(range(1, written + 1))
    with closing(VerdictStore(path)) as store:
        assert store.rows("PRAGMA integrity_check") == [("ok",)]
        assert store.last_id >= written


def test_reading_while_a_node_writes_does_not_stop_it(tmp_path: Path) -> None:
    path, ledger = tmp_path / "explain.sqlite", Ledger()
    with closing(VerdictStore(path)) as node:
        node.write(ledger.changes([RESET, *story(1, 2)], 0.0))
        with closing(VerdictStore(path, read_only=True)) as reader:
            assert reader.rows("SELECT count(*) FROM blocks") == [(2,)]
            node.write(ledger.changes(story(3, 4), 0.0))
            assert reader.rows("SELECT count(*) FROM blocks") == [(4,)]
            with pytest.raises(StoreProblem):
                reader.write([("DELETE FROM blocks", [()])])
