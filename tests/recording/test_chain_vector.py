"""Reading `chain-vector/1`, whole and damaged."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

from kroma_core.recording import RecordingError, VerifiedReader, open_recording
from tests.recording.samples import ALL_FORMS, BLOBS, KROMA, PLAIN, REORG, changed, flipped, vector, written


def hexed(text: str) -> bytes:
    return bytes.fromhex(text[2:])


@pytest.mark.parametrize("path", ALL_FORMS, ids=lambda path: path.name)
def test_a_vector_gives_back_what_its_json_says(path: Path) -> None:
    content = vector(path)
    with open_recording(path) as recording:
        reader = VerifiedReader(recording)
        assert recording.format == content["format"]
        assert recording.rollup_config == content["rollup_config"]
        assert recording.l2_genesis == content["l2_genesis"]
        assert recording.l1_chain_config == content.get("l1_chain_config")
        assert [link.hash for link in recording.links()] == [hexed(one["hash"]) for one in content["l1"]["blocks"]]
        for item in content["l1"]["blocks"]:
            block = reader.block(hexed(item["hash"]))
            assert block.header.encode() == hexed(item["header"])
            assert list(block.transactions) == [hexed(raw) for raw in item["transactions"]]
            receipts = reader.receipts(block.hash)
            assert [receipt.encode() for receipt in receipts] == [hexed(raw) for raw in item["receipts"]]
        assert recording.step_count == len(content["timeline"])
        heads = [reader.heads(index).unsafe.hash for index in range(recording.step_count)]
        assert heads == [hexed(step["l1_head"]) for step in content["timeline"]]


@pytest.mark.parametrize("path", ALL_FORMS, ids=lambda path: path.name)
def test_the_expected_chain_is_what_the_json_says(path: Path) -> None:
    content = vector(path)["expected"]
    with open_recording(path) as recording:
        expected = recording.expected
        assert expected is not None
        assert expected.block_count == len(content["blocks"])
        for item, block in zip(content["blocks"], expected.blocks(), strict=True):
            assert (block.number, block.hash) == (item["number"], hexed(item["hash"]))
            assert expected.block(block.number) == block
            assert expected.by_hash(block.hash) == block
            assert expected.child(block.payload.parent_hash) == block
            assert (block.l1_origin.number, block.l1_origin.hash) == (
                item["l1_origin"]["number"],
                hexed(item["l1_origin"]["hash"]),
            )
            assert block.derived_from.hash == hexed(item["derived_from"]["hash"])
            assert (block.batch, block.sequence_number) == (item["batch"], item["sequence_number"])
            assert list(block.attributes.transactions) == [hexed(raw) for raw in item["attributes"]["transactions"]]
            assert block.payload.state_root == hexed(item["payload"]["stateRoot"])
            network = block.network_receipts or block.receipts
            assert list(network) == [hexed(raw) for raw in item.get("receipts_marshal_binary", item["receipts"])]
        for index, item in enumerate(content["safe_after"]):
            safe = expected.safe_after(index)
            assert safe is not None
            assert (safe.safe_l2.number, safe.safe_l2.hash) == (
                item["safe_l2"]["number"],
                hexed(item["safe_l2"]["hash"]),
            )
        for item in content.get("outputs", []):
            output = expected.output(item["number"])
            assert output is not None
            assert output.output_root == hexed(item["outputRoot"])
        assert expected.block(0) is None
        assert expected.block(expected.block_count + 1) is None
        assert expected.safe_after(len(content["safe_after"])) is None


def test_the_canonical_block_at_a_height_depends_on_the_head() -> None:
    with open_recording(REORG) as recording:
        reader = VerifiedReader(recording)
        heads = {recording.step(index).unsafe for index in range(recording.step_count)}
        assert any(len(recording.at(number)) > 1 for number in range(*recording.span()))
        for head in heads:
            walked = head
            for number in range(reader.header(head).number, -1, -1):
                assert reader.canonical(head, number).hash == walked
                walked = reader.header(walked).parent_hash


def test_blobs_are_padded_and_checked() -> None:
    content = vector(BLOBS)["blobs"]
    with open_recording(BLOBS) as recording:
        reader = VerifiedReader(recording)
        assert {"0x" + one.hex() for one in recording.blob_hashes()} == set(content)
        for name in list(content)[:3]:
            blob = reader.blob(hexed(name))
            assert blob == hexed(content[name]).ljust(131_072, b"\0")
        assert reader.blob(bytes(32)) is None


@pytest.mark.parametrize("part", ["blocks", "outputs"])
def test_expected_numbers_follow_each_other(tmp_path: Path, part: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["expected"][part][3]["number"] += 1

    assert f"expected.{part}[3], number: expected 4, got 5" in problem_of(changed(tmp_path, change, KROMA))


def test_a_recording_without_expected_has_none(tmp_path: Path) -> None:
    with open_recording(changed(tmp_path, lambda content: content.pop("expected"))) as recording:
        assert recording.expected is None


def read_all(path: Path, blobs: bool) -> None:
    with open_recording(path) as recording:
        reader = VerifiedReader(recording)
        for link in recording.links():
            reader.block(link.hash)
            reader.receipts(link.hash)
        for index in range(recording.step_count):
            reader.heads(index)
        for versioned_hash in recording.blob_hashes() if blobs else ():
            reader.blob(versioned_hash)
        if recording.expected is not None:
            list(recording.expected.blocks())


def problem_of(path: Path, *, blobs: bool = False) -> str:
    """The message with which reading everything ends."""
    with pytest.raises(RecordingError) as caught:
        read_all(path, blobs)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in problem_of(tmp_path / "nothing.json.xz")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.json.xz"
    path.touch()
    assert "an empty file" in problem_of(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.json.xz"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and more")
    assert "a recording (" in problem_of(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    data = PLAIN.read_bytes()
    path = tmp_path / "cut.json.xz"
    path.write_bytes(data[: int(len(data) * share)])
    assert "cut short" in problem_of(path)


@pytest.mark.parametrize("place", [7, 0.3, 0.7, -5])
def test_a_flipped_byte_of_the_compressed_file_is_noticed(tmp_path: Path, place: float) -> None:
    data = bytearray(PLAIN.read_bytes())
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 0x10
    path = tmp_path / "flipped.json.xz"
    path.write_bytes(data)
    assert "xz stream" in problem_of(path)


def test_bytes_after_the_compressed_stream_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "longer.json.xz"
    path.write_bytes(PLAIN.read_bytes() + b"more")
    assert "4 bytes after its end" in problem_of(path)


@pytest.mark.parametrize("text", [b"{", b'{"format": "chain-vector/1"', b"[" * 200_000, b'{"a": \xff}'])
def test_what_is_not_json_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "broken.json.xz"
    path.write_bytes(lzma.compress(text))
    assert "expected JSON" in problem_of(path)


def test_too_much_json_is_refused_before_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kroma_core.recording.chain_vector.MAX_JSON", 10_000_000)
    path = tmp_path / "bomb.json.xz"
    path.write_bytes(lzma.compress(bytes(40_000_000)))
    assert "at most 10000000 bytes" in problem_of(path)


def _blocks(content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content["l1"]["blocks"]
    return found


def _busy(content: dict[str, Any]) -> dict[str, Any]:
    return next(block for block in _blocks(content) if block["transactions"])


def test_another_format_is_refused_by_name(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda content: content.update(format="chain-vector/2"))
    assert "expected chain-vector/1, got chain-vector/2" in problem_of(path)


@pytest.mark.parametrize("key", ["rollup_config", "l1", "timeline"])
def test_a_missing_part_is_named(tmp_path: Path, key: str) -> None:
    assert key in problem_of(changed(tmp_path, lambda content: content.pop(key)))


@pytest.mark.parametrize("key", ["hash", "number", "header", "transactions", "receipts"])
def test_a_missing_field_of_a_block_is_named(tmp_path: Path, key: str) -> None:
    message = problem_of(changed(tmp_path, lambda content: _blocks(content)[3].pop(key)))
    assert f"{key}: expected a value, got nothing" in message


@pytest.mark.parametrize("value", [None, 5, "00", "0x0", "0xzz", "0x 00", [], {}])
def test_a_header_that_is_no_hex_is_refused(tmp_path: Path, value: object) -> None:
    message = problem_of(changed(tmp_path, lambda content: _blocks(content)[3].update(header=value)))
    assert "header: expected 0x-prefixed hex" in message


def test_a_flipped_byte_of_a_header_is_named_with_its_block(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        block = _blocks(content)[5]
        block["header"] = flipped(block["header"], 400)

    message = problem_of(changed(tmp_path, change))
    block = _blocks(vector())[5]
    assert f"L1 block 5 ({block['hash']}), header: expected {block['hash']}, got 0x" in message


def test_a_wrong_number_is_named_with_its_block(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        _blocks(content)[-1]["number"] += 1

    assert "number: expected" in problem_of(changed(tmp_path, change))


@pytest.mark.parametrize(("part", "field"), [("transactions", "transactions root"), ("receipts", "receipts root")])
def test_a_flipped_byte_of_a_list_is_named_with_its_block(tmp_path: Path, part: str, field: str) -> None:
    def change(content: dict[str, Any]) -> None:
        block = _busy(content)
        block[part][0] = flipped(block[part][0])

    message = problem_of(changed(tmp_path, change))
    busy = _busy(vector())
    assert f"L1 block {busy['number']} ({busy['hash']}), {field}: expected 0x" in message


@pytest.mark.parametrize("part", ["transactions", "receipts"])
def test_an_item_left_out_of_a_list_is_noticed(tmp_path: Path, part: str) -> None:
    assert "root: expected" in problem_of(changed(tmp_path, lambda content: _busy(content)[part].pop()))


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    gone = _blocks(vector())[7]
    message = problem_of(changed(tmp_path, lambda content: _blocks(content).pop(7)))
    assert f"L1 block 7 ({gone['hash']}), block: expected in the recording, got missing" in message


def test_a_missing_head_is_named_with_its_step(tmp_path: Path) -> None:
    count = len(vector()["timeline"])
    message = problem_of(changed(tmp_path, lambda content: _blocks(content).pop()))
    assert f"timeline[{count - 1}], l1_head: expected a recorded L1 block" in message


def test_a_block_that_comes_twice_is_refused(tmp_path: Path) -> None:
    message = problem_of(changed(tmp_path, lambda content: _blocks(content).append(_blocks(content)[2])))
    assert "expected each block once" in message


def test_a_flipped_byte_of_a_blob_is_named(tmp_path: Path) -> None:
    content = vector(BLOBS)
    name = next(iter(content["blobs"]))
    content["blobs"][name] = flipped(content["blobs"][name])
    assert f"blob {name}, commitment" in problem_of(written(tmp_path, content), blobs=True)


def test_a_blob_that_is_too_long_is_refused(tmp_path: Path) -> None:
    content = vector(BLOBS)
    name = next(iter(content["blobs"]))
    content["blobs"][name] = "0x" + "00" * 131_073
    assert "131073 bytes" in problem_of(written(tmp_path, content), blobs=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch", "other"),
        ("number", -1),
        ("hash", "0x00"),
        ("payload", {}),
        ("attributes", []),
        ("receipts", ["0x7eff"]),
    ],
)
def test_a_malformed_field_of_an_expected_block_is_named(tmp_path: Path, key: str, value: object) -> None:
    message = problem_of(changed(tmp_path, lambda content: content["expected"]["blocks"][4].update({key: value})))
    assert "expected" in message
    assert key in message
