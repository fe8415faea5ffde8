"""What is in the files, and when they begin and end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pytest
import trio
import trio.testing
from kroma_observer_arrow.offers import ArrowSettings, Format, check_settings
from kroma_observer_arrow.rows import Row, row_of
from kroma_observer_arrow.tables import Tables
from maker import opened_part

from kroma_core.codec.keccak import keccak256
from kroma_core.errors import TemporaryError
from kroma_core.events import (
    BatchPlace,
    BlockDerived,
    Event,
    L1Traversed,
    Outcome,
    RequestAnswered,
    Subject,
    Verdict,
    Warned,
)
from kroma_core.testing.conformance.suites import scripted_chain
from kroma_core.testing.observer import sample_events
from kroma_core.types import BlockId, L2Number, L2Ref, Timestamp

TOLD = 1_700_000_000.5


def derived(number: int, **changed: Any) -> BlockDerived:
    ref = L2Ref(
        hash=b"\xaa" * 32,
        number=L2Number(number),
        parent_hash=b"\xbb" * 32,
        timestamp=Timestamp(1_600_000_000),
        l1_origin=BlockId(b"\xcc" * 32, 5),
        sequence_number=2,
    )
    event = BlockDerived(
        block=ref,
        derived_from=BlockId(b"\xdd" * 32, 9),
        batch="span",
        transactions=3,
        gas_used=63_000,
        consolidated=False,
        place=BatchPlace(b"\x0f" * 16, 4),
    )
    return attrs.evolve(event, **changed)


def written(folder: Path, events: Sequence[Event], **settings: Any) -> None:
    """Tell a part of its own these events, and close it."""

    async def main() -> None:
        with trio.fail_after(60):
            async with opened_part(folder, clock=lambda: TOLD, **settings) as part:
                for event in events:
                    part.on_event(event)

    trio.run(main)


def table(folder: Path, name: str, format: str = "parquet") -> list[dict[str, Any]]:
    files = [str(path) for path in sorted(folder.glob(f"{name}-*.{format}"))]
    rows: list[dict[str, Any]] = ds.dataset(files, format=format).to_table().to_pylist()
    return rows


@pytest.mark.parametrize("format", list(Format))
def test_blocks_have_a_table_of_their_own(format: Format, tmp_path: Path) -> None:
    written(tmp_path, [derived(7), derived(8, place=None, consolidated=True)], format=format)
    first, second = table(tmp_path, "blocks", format)
    assert first == {
        "told": datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC),
        "number": 7,
        "hash": "0x" + "aa" * 32,
        "parent_hash": "0x" + "bb" * 32,
        "time": datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC),
        "l1_origin": 5,
        "sequence_number": 2,
        "derived_from": 9,
        "batch": "span",
        "channel": "0f" * 16,
        "transactions": 3,
        "gas_used": 63_000,
        "consolidated": False,
    }
    assert (second["number"], second["channel"], second["consolidated"]) == (8, None, True)


@pytest.mark.parametrize("format", list(Format))
def test_all_other_events_are_rows_of_one_table(format: Format, tmp_path: Path) -> None:
    events = sample_events()
    written(tmp_path, events, format=format)
    rows = table(tmp_path, "events", format)
    assert [row["kind"] for row in rows] == ["L1Traversed", "Verdict", "HeadsMoved", "L1Reorganised"]
    verdict = rows[1]
    assert (verdict["subject"], verdict["name"], verdict["outcome"]) == ("batch", "1700000002", "dropped")
    assert verdict["rule"] == 'derivation.md, "Batch Queue"'
    assert json.loads(verdict["details"]) == {"timestamp": 1_700_000_002, "parent": "0x" + "00" * 32}
    assert [row["l1_number"] for row in rows] == [3, 3, 3, None]
    assert json.loads(rows[3]["details"])["depth"] == 2


def test_kinds_that_are_left_out_are_not_written(tmp_path: Path) -> None:
    request = RequestAnswered(part="l1", server="http://h", method="m", seconds=0.1, outcome="ok")
    written(tmp_path, [request, sample_events()[0]])
    assert [row["kind"] for row in table(tmp_path, "events")] == ["L1Traversed"]
    written(tmp_path / "all", [request, sample_events()[0]], leave_out=())
    assert [row["kind"] for row in table(tmp_path / "all", "events")] == ["RequestAnswered", "L1Traversed"]


def test_pandas_reads_both_formats(tmp_path: Path) -> None:
    for format in Format:
        written(tmp_path, [derived(7), derived(8)], format=format)
    [parquet], [arrow] = tmp_path.glob("*.parquet"), tmp_path.glob("*.arrow")
    frame = pd.read_parquet(parquet)
    assert list(frame["number"]) == [7, 8]
    assert frame["gas_used"].sum() == 126_000
    assert list(feather.read_feather(arrow)["hash"]) == list(frame["hash"])


def test_a_part_that_was_told_nothing_leaves_no_file(tmp_path: Path) -> None:
    written(tmp_path / "new", [])
    assert not (tmp_path / "new").exists()


def test_a_second_run_begins_files_of_its_own(tmp_path: Path) -> None:
    for number in (1, 2):
        written(tmp_path, [derived(number)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "blocks-20231114T221320Z-0001.parquet",
        "blocks-20231114T221320Z-0002.parquet",
    ]
    assert [row["number"] for row in table(tmp_path, "blocks")] == [1, 2]


def rows(*numbers: int) -> list[tuple[str, Row]]:
    """Rows of `blocks` with hashes that do not compress."""
    found = []
    for number in numbers:
        block_hash = keccak256(number.to_bytes(8, "big"))
        block = attrs.evolve(derived(number).block, hash=block_hash, parent_hash=keccak256(block_hash))
        found.append(row_of(TOLD, derived(number, block=block)))
    return found


@pytest.mark.parametrize("format", list(Format))
def test_a_file_is_closed_when_it_is_old_enough(format: Format, tmp_path: Path) -> None:
    tables = Tables(folder=tmp_path, format=format, max_bytes=1 << 30, max_seconds=600)
    tables.write(rows(1), now=1000)
    tables.write(rows(2), now=1599)
    assert closed(tmp_path) == []
    tables.rotate(now=1600)
    assert closed(tmp_path) == [f"blocks-19700101T001640Z-0001.{format}"]
    tables.write(rows(3), now=1601)
    tables.close()
    assert len(closed(tmp_path)) == 2
    assert [row["number"] for row in table(tmp_path, "blocks", format)] == [1, 2, 3]


@pytest.mark.parametrize("format", list(Format))
def test_a_file_is_closed_when_it_is_large_enough(format: Format, tmp_path: Path) -> None:
    tables = Tables(folder=tmp_path, format=format, max_bytes=100_000, max_seconds=600)
    for first in range(0, 5000, 500):
        tables.write(rows(*range(first, first + 500)), now=1000 + first)
    tables.close()
    sizes = [(tmp_path / name).stat().st_size for name in closed(tmp_path)]
    assert len(sizes) > 2
    assert all(100_000 <= size < 300_000 for size in sizes[:-1])
    assert [row["number"] for row in table(tmp_path, "blocks", format)] == list(range(5000))


def test_events_do_not_wait_for_others_to_be_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_part(tmp_path, clock=trio.current_time, max_minutes=2.0) as part:
            part.on_event(derived(1))
            for _ in range(100):
                await trio.sleep(60)
                if closed(tmp_path):
                    return
            raise AssertionError("nothing was closed in a hundred minutes")

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.02))


def closed(folder: Path) -> list[str]:
    """Names of the files that readers may open."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".part") if folder.exists() else []


def test_what_finds_the_queue_full_is_counted_where_it_is_missing(tmp_path: Path) -> None:
    told: list[Event] = []

    async def main() -> None:
        async with opened_part(tmp_path, emit=told.append, queue=3) as part:
            for _ in range(5):
                part.on_event(sample_events()[0])
            with trio.fail_after(60):
                while not told_missing(told) and not part_is_empty(part):
                    await trio.lowlevel.checkpoint()
            part.on_event(sample_events()[2])

    trio.run(main)
    rows = table(tmp_path, "events")
    assert [row["kind"] for row in rows] == ["L1Traversed"] * 3 + ["Dropped", "HeadsMoved"]
    assert json.loads(rows[3]["details"]) == {"count": 2}
    assert told_missing(told)


def told_missing(told: Sequence[Event]) -> bool:
    return any(isinstance(event, Warned) and event.warning.startswith("2 events are left out") for event in told)


def part_is_empty(part: Any) -> bool:
    return not part._queue


def test_a_disk_that_fails_is_told_by_the_next_event(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "taken").write_text("a file where the folder should be")
        async with opened_part(tmp_path / "taken", queue=1) as part:
            part.on_event(sample_events()[0])
            with trio.fail_after(60), pytest.raises(TemporaryError, match="observe arrow: cannot write to"):
                await told_for_ever(part)

    trio.run(main)


def test_a_text_that_no_column_can_hold_detaches_the_observer_and_ends_nothing(tmp_path: Path) -> None:
    verdict = next(event for event in sample_events() if isinstance(event, Verdict))

    async def main() -> None:
        async with opened_part(tmp_path, queue=1) as part:
            part.on_event(attrs.evolve(verdict, name="\ud800"))
            with trio.fail_after(60), pytest.raises(TemporaryError, match="surrogates not allowed"):
                await told_for_ever(part)

    trio.run(main)


async def told_for_ever(part: Any) -> None:
    while True:
        await trio.lowlevel.checkpoint()
        part.on_event(sample_events()[0])


def test_a_node_that_is_cancelled_closes_the_files(tmp_path: Path) -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with opened_part(tmp_path) as part:
                part.on_event(derived(1))
                scope.cancel()
                await trio.sleep_forever()

    trio.run(main)
    assert [row["number"] for row in table(tmp_path, "blocks")] == [1]


def test_an_event_of_values_that_json_does_not_have_is_written_all_the_same(tmp_path: Path) -> None:
    verdict = Verdict(
        subject=Subject.FRAME,
        name="n",
        outcome=Outcome.DROPPED,
        reason=Outcome.DROPPED,
        rule="r",
        numbers=(("big", 1 << 256), ("raw", b"\xff")),
    )
    written(tmp_path, [verdict])
    assert json.loads(table(tmp_path, "events")[0]["details"]) == {"big": 1 << 256, "raw": "0xff"}


def test_files_have_the_schema_also_where_a_column_is_empty(tmp_path: Path) -> None:
    written(tmp_path, [event for event in sample_events() if isinstance(event, L1Traversed)])
    [file] = tmp_path.glob("events-*.parquet")
    schema = ds.dataset(str(file)).schema
    assert schema.field("outcome").type == pa.string()
    assert schema.field("l1_number").type == pa.uint64()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"folder": Path(__file__)}, "is not a folder"),
        ({"max_megabytes": 0}, "max_megabytes: expected a number above 0, got 0"),
        ({"max_minutes": -1.0}, "max_minutes: expected"),
        ({"queue": 0}, "queue: expected"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], problem: str) -> None:
    [found] = check_settings(ArrowSettings(**settings), scripted_chain())
    assert problem in found
