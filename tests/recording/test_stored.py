"""The project's own format: written, imported, read again, damaged."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.forks import Fork
from kroma_core.recording import (
    Recording,
    RecordingError,
    RecordingWriter,
    TimelineStep,
    VerifiedReader,
    import_vector,
    open_recording,
    verify,
)
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import record
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from tests.recording.samples import BEFORE_CANYON, KROMA, PLAIN, REORG, changed, flipped, vector


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_vector(BEFORE_CANYON, tmp_path_factory.mktemp("imported") / "plain.krec")


@pytest.fixture
def copy(imported: Path, tmp_path: Path) -> Path:
    path = tmp_path / "copy.krec"
    path.write_bytes(imported.read_bytes())
    return path


def run_sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def read_all(path: Path) -> None:
    """Read everything that a replay reads."""
    with open_recording(path) as recording:
        reader = VerifiedReader(recording)
        for link in recording.links():
            reader.block(link.hash)
            reader.receipts(link.hash)
        for index in range(recording.step_count):
            reader.heads(index)
        for versioned_hash in recording.blob_hashes():
            reader.blob(versioned_hash)
        if recording.expected is not None:
            list(recording.expected.blocks())


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        read_all(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(one: Recording, other: Recording) -> None:
    assert one.about == other.about
    assert one.rollup_config == other.rollup_config
    assert one.l1_chain_config == other.l1_chain_config
    assert one.l2_genesis == other.l2_genesis
    assert list(one.links()) == list(other.links())
    assert one.span() == other.span()
    for link in one.links():
        assert one.link(link.hash) == other.link(link.hash) == link
        assert one.at(link.number) == other.at(link.number)
        assert one.header(link.hash) == other.header(link.hash)
        assert one.transactions(link.hash) == other.transactions(link.hash)
        assert one.receipts(link.hash) == other.receipts(link.hash)
    assert list(one.blob_hashes()) == list(other.blob_hashes())
    for versioned_hash in one.blob_hashes():
        mine, theirs = one.blob(versioned_hash), other.blob(versioned_hash)
        assert mine is not None
        assert theirs is not None
        assert mine.data == theirs.data
    assert one.step_count == other.step_count
    assert [one.step(index) for index in range(one.step_count)] == [other.step(i) for i in range(one.step_count)]
    assert one.expected is not None
    assert other.expected is not None
    assert list(one.expected.blocks()) == list(other.expected.blocks())
    for index in range(one.step_count):
        assert one.expected.safe_after(index) == other.expected.safe_after(index)
    for block in one.expected.blocks():
        assert one.expected.output(block.number) == other.expected.output(block.number)
        assert other.expected.block(block.number) == block
        assert other.expected.by_hash(block.hash) == block
        assert other.expected.child(block.payload.parent_hash) == block


@pytest.mark.parametrize("source", [PLAIN, REORG, BEFORE_CANYON, KROMA], ids=lambda path: path.name)
def test_an_imported_vector_holds_the_same(source: Path, tmp_path: Path) -> None:
    path = import_vector(source, tmp_path / "imported.krec")
    assert not path.with_name(path.name + ".partial").exists()
    with open_recording(source) as vector_file, open_recording(path) as stored:
        assert stored.format == "kroma-recording/1"
        assert_same(vector_file, stored)
        assert list(verify(stored)) == []


def test_what_is_not_there_is_none(imported: Path) -> None:
    with open_recording(imported) as recording:
        assert recording.link(bytes(32)) is None
        assert recording.header(bytes(32)) is None
        assert recording.transactions(bytes(32)) is None
        assert recording.receipts(bytes(32)) is None
        assert recording.blob(bytes(32)) is None
        assert recording.at(10**6) == ()
        assert recording.expected is not None
        assert recording.expected.block(10**6) is None
        assert recording.expected.by_hash(bytes(32)) is None


def test_a_scripted_l1_with_reorgs_is_recorded(tmp_path: Path) -> None:
    l1 = ScriptedL1(fork="cancun")
    l1.mine([l1.batcher_tx(b"\0one"), l1.deposit(sender=bytes(20), to=None, mint=7)])
    l1.mine_empty(3)
    l1.reorg(2)
    l1.mine_empty(4)
    rollup = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup
    with open_recording(record(l1, tmp_path / "scripted.krec", rollup)) as recording:
        reader = VerifiedReader(recording)
        assert list(verify(recording)) == []
        assert recording.expected is None
        assert [reader.heads(index) for index in range(recording.step_count)] == list(l1.timeline)
        for block_hash in l1.block_hashes:
            assert reader.block(block_hash).hash == block_hash
        assert len(recording.at(3)) == 2
        assert reader.canonical(l1.tip.hash, 3).hash != recording.at(3)[0].hash


# --- writing


def writer_for(path: Path) -> RecordingWriter:
    return RecordingWriter(path, rollup_config=vector()["rollup_config"])


def test_without_finish_there_is_no_file(tmp_path: Path) -> None:
    with writer_for(tmp_path / "new.krec") as writer:
        writer.add_step(TimelineStep(unsafe=bytes(32)))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_between_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with writer_for(tmp_path / "new.krec"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_told(copy: Path, tmp_path: Path) -> None:
    before = copy.read_bytes()
    with pytest.raises(RecordingError, match="an existing one"):
        import_vector(BEFORE_CANYON, copy)
    assert copy.read_bytes() == before
    import_vector(BEFORE_CANYON, copy, overwrite=True)
    read_all(copy)


def test_what_an_interrupted_writer_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "new.krec.partial").write_bytes(b"half a database")
    read_all(import_vector(BEFORE_CANYON, tmp_path / "new.krec"))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="room and permission to write"):
        writer_for(tmp_path / "nowhere" / "new.krec")


@pytest.mark.parametrize("part", ["transactions", "receipts"])
def test_a_block_that_contradicts_its_header_is_not_written(tmp_path: Path, part: str) -> None:
    block = next(one for one in vector()["l1"]["blocks"] if one["transactions"])
    lists = {name: [bytes.fromhex(raw[2:]) for raw in block[name]] for name in ("transactions", "receipts")}
    lists[part] = lists[part][1:]
    with writer_for(tmp_path / "new.krec") as writer, pytest.raises(RecordingError, match=f"{part} root"):
        writer.add_block(bytes.fromhex(block["header"][2:]), **lists)


def test_a_block_without_its_parent_is_not_finished(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine_empty(3)
    with writer_for(tmp_path / "new.krec") as writer:
        for block_hash in (*l1.block_hashes[:1], *l1.block_hashes[2:]):
            content = l1.content(block_hash)
            writer.add_block(content.header, content.transactions, content.receipts)
        with pytest.raises(RecordingError, match=f"L1 block 1 .0x{l1.block_hashes[1].hex()}.*missing"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["unsafe", "safe", "finalized"])
def test_a_head_that_was_not_recorded_is_not_finished(tmp_path: Path, field: str) -> None:
    l1 = ScriptedL1()
    content = l1.content(l1.genesis.hash)
    heads = {"unsafe": l1.genesis.hash, field: b"\x11" * 32}
    with writer_for(tmp_path / "new.krec") as writer:
        writer.add_block(content.header, content.transactions, content.receipts)
        writer.add_step(TimelineStep(**heads))
        with pytest.raises(RecordingError, match="timeline step 0, heads"):
            writer.finish()


def test_a_block_is_recorded_once(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    content = l1.content(l1.genesis.hash)
    with writer_for(tmp_path / "new.krec") as writer:
        writer.add_block(content.header, content.transactions, content.receipts)
        with pytest.raises(RecordingError, match="each once"):
            writer.add_block(content.header, content.transactions, content.receipts)


FULL_DISK = """
import resource, sys
from kroma_core.errors import KromaError
from kroma_core.recording import import_vector
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    import_vector(sys.argv[1], sys.argv[2])
except KromaError as error:
    print(error)
    sys.exit(3)
"""


def test_a_full_disk_gives_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    target = tmp_path / "new.krec"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(BEFORE_CANYON), str(target)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert str(target) in done.stdout
    assert "room and permission to write" in done.stdout
    assert list(tmp_path.iterdir()) == []


# --- damage


def test_a_file_cut_short_is_refused(copy: Path) -> None:
    data = copy.read_bytes()
    copy.write_bytes(data[: len(data) // 2])
    assert "database" in refusal(copy)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    run_sql(path, "CREATE TABLE t (a)")
    assert "application_id: expected" in refusal(path)


def test_another_schema_is_refused(copy: Path) -> None:
    run_sql(copy, "PRAGMA user_version = 2")
    assert "user_version: expected 1 (schema 1), got 2" in refusal(copy)


def test_a_recording_that_was_not_finished_is_refused(copy: Path) -> None:
    run_sql(copy, "DELETE FROM section WHERE name = 'contents'")
    assert "it was not finished" in refusal(copy)


def test_a_missing_row_is_noticed_at_opening(copy: Path) -> None:
    run_sql(copy, "DELETE FROM l1_block WHERE number = 4")
    assert "l1_block, rows: expected 18, got 17" in refusal(copy)


@pytest.mark.parametrize("section", ["rollup_config", "l2_genesis", "l1_chain_config", "about"])
def test_a_changed_section_is_noticed(copy: Path, section: str) -> None:
    run_sql(
        copy,
        f"UPDATE section SET data = (SELECT data FROM section WHERE name = 'contents'),"
        f" size = (SELECT size FROM section WHERE name = 'contents') WHERE name = '{section}'",
    )
    assert f"section {section}, sha256" in refusal(copy)


@pytest.mark.parametrize("column", ["transactions", "receipts"])
def test_a_damaged_list_is_named_with_its_block(copy: Path, column: str) -> None:
    run_sql(copy, f"UPDATE l1_block SET {column} = substr({column}, 1, length({column}) - 6) WHERE number = 5")
    message = refusal(copy)
    assert "L1 block 5 (0x" in message
    assert f"{column}: expected a zlib stream of" in message


def test_a_list_larger_than_announced_is_not_unpacked(copy: Path) -> None:
    run_sql(copy, "UPDATE l1_block SET transactions_size = 3 WHERE number = 5")
    assert "a zlib stream of 3 bytes" in refusal(copy)


@pytest.mark.parametrize("size", [-1, 10**12])
def test_an_absurd_size_is_refused(copy: Path, size: int) -> None:
    run_sql(copy, f"UPDATE l1_block SET receipts_size = {size} WHERE number = 5")
    assert "expected at most" in refusal(copy)


def test_a_value_of_another_type_is_refused(copy: Path) -> None:
    run_sql(copy, "UPDATE l1_block SET header = 'text' WHERE number = 5")
    assert "expected bytes, got str" in refusal(copy)


@pytest.mark.parametrize("column", ["header", "parent_hash", "number"])
def test_a_changed_column_is_named_with_its_block(copy: Path, column: str) -> None:
    value = "number + 100" if column == "number" else f"(SELECT {column} FROM l1_block WHERE number = 3)"
    run_sql(copy, f"UPDATE l1_block SET {column} = {value} WHERE number = 5")
    assert "expected" in refusal(copy)


def test_a_step_whose_head_is_missing_is_named(copy: Path) -> None:
    run_sql(copy, "UPDATE step SET unsafe = zeroblob(32) WHERE position = 6")
    assert "timeline step 6, head" in refusal(copy)


def test_a_changed_expected_block_is_named(copy: Path) -> None:
    run_sql(copy, "UPDATE expected_block SET data = (SELECT data FROM expected_block WHERE number = 8),"
                  " size = (SELECT size FROM expected_block WHERE number = 8) WHERE number = 9")  # fmt: skip
    assert "expected L2 block 9, number: expected 9, got 8" in refusal(copy)


def test_a_damaged_blob_is_named(tmp_path: Path) -> None:
    l1 = ScriptedL1(fork="cancun")
    l1.mine([l1.blob_tx([bytes(131_072), b"\1".rjust(131_072, b"\0")])])
    path = record(l1, tmp_path / "blobs.krec", rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup)
    read_all(path)
    run_sql(path, "UPDATE blob SET data = (SELECT data FROM blob WHERE position = 2) WHERE position = 1")
    assert "blob 0x" in refusal(path)


def test_every_flipped_byte_is_noticed_or_harmless(copy: Path) -> None:
    data = copy.read_bytes()
    with open_recording(copy) as recording, open_recording(BEFORE_CANYON) as truth:
        assert_same(recording, truth)
    noticed = 0
    for place in range(5, len(data), len(data) // 25):
        copy.write_bytes(data[:place] + bytes((data[place] ^ 0x40,)) + data[place + 1 :])
        try:
            with open_recording(copy) as recording, open_recording(BEFORE_CANYON) as truth:
                problems = list(verify(recording))
                if problems:
                    noticed += 1
                else:
                    assert_same(recording, truth)
        except RecordingError:
            noticed += 1
    assert noticed > 12


def test_an_imported_vector_must_be_sound(tmp_path: Path) -> None:
    def change(content: dict) -> None:  # type: ignore[type-arg]
        block = next(one for one in content["l1"]["blocks"] if one["receipts"])
        block["receipts"][0] = flipped(block["receipts"][0])

    source = changed(tmp_path, change)
    with pytest.raises(RecordingError, match="receipts root"):
        import_vector(source, tmp_path / "new.krec")
    assert os.listdir(tmp_path) == [source.name]


def test_a_lasting_recording_has_what_was_kept_and_nothing_later(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    with RecordingWriter.rescue(path) as writer:
        assert writer.steps == 1
        writer.finish()
    with open_recording(path) as recording:
        assert recording.span() == (0, 0)
        assert list(verify(recording)) == []
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_recording_that_ended_while_it_was_finished_can_be_rescued(tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    run_sql(path.with_name(f"{path.name}.partial"), "INSERT INTO section VALUES ('contents', 0, x'00', x'00')")
    with RecordingWriter.rescue(path) as writer:
        writer.finish()
    with open_recording(path) as recording:
        assert recording.step_count == 1


def test_only_a_recording_can_be_rescued(tmp_path: Path) -> None:
    path = tmp_path / "l1.krec"
    with pytest.raises(RecordingError, match="expected an interrupted recording, got no such file"):
        RecordingWriter.rescue(path)
    run_sql(tmp_path / "l1.krec.partial", "CREATE TABLE other (a)")
    with pytest.raises(RecordingError, match="application_id: expected 1263684913"):
        RecordingWriter.rescue(path)
    assert (tmp_path / "l1.krec.partial").exists()


def interrupted(folder: Path) -> Path:
    """What is left of a lasting recording whose process ended after its first step."""
    l1 = ScriptedL1()
    path = folder / "l1.krec"
    rollup = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup
    with RecordingWriter(path, rollup_config=rollup_config_to_json(rollup), lasting=True) as writer:
        for block in (l1.genesis, l1.mine()):
            content = l1.content(block.hash)
            writer.add_block(content.header, content.transactions, content.receipts)
            writer.add_step(TimelineStep(unsafe=block.hash))
            if block is l1.genesis:
                writer.keep()
    assert not path.exists()
    return path
