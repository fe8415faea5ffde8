"""`kroma derive` and `kroma decode`: what the recordings hold, in lines and in JSON."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from kroma_core.cli import main
from tests.cli.recordings import CHAINS, SHORT, altered
from tests.vectors.unit_files import load

HOSTILE = CHAINS / "hostile-canyon-1.json.xz"
TIMEOUTS = CHAINS / "timeouts-fjord.json.xz"
DELTA = CHAINS / "plain-delta.json.xz"
REORG = CHAINS / "reorg-delta.json.xz"


def lines(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def objects(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[Any]:
    return [json.loads(line) for line in lines(capsys, *arguments, "--json")]


def test_derive_prints_the_attributes_that_the_reference_derived(capsys: pytest.CaptureFixture[str]) -> None:
    derived = objects(capsys, "derive", DELTA)
    expected = load(DELTA)["expected"]["blocks"]
    assert [block["attributes"] for block in derived] == [block["attributes"] for block in expected]
    for key in ("number", "batch", "derived_from", "l1_origin", "sequence_number"):
        assert [block[key] for block in derived] == [block[key] for block in expected]


def test_derive_shows_the_blocks_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in lines(capsys, "derive", SHORT, "--from", 5, "--to", 7)] == ["5", "6", "7"]


def test_derive_says_when_none_of_the_blocks_asked_for_exists(capsys: pytest.CaptureFixture[str]) -> None:
    last = load(SHORT)["expected"]["blocks"][-1]["number"]
    assert main(["derive", str(SHORT), "--from", "99999"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"none of the L2 blocks from 99999 on: the blocks derived from it end at {last}" in told.err
    assert "kroma explain" not in told.err


def test_derive_says_how_to_find_out_why_no_block_is_derived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(content: Any) -> None:
        content["rollup_config"]["batch_inbox_address"] = "0x" + "77" * 20

    path = altered(tmp_path, SHORT, change)
    assert main(["derive", str(path)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("none of the L2 blocks from 0 on: no block is derived from it")
    assert second == f"kroma: why: kroma explain stall {path}; what its batcher data hold: kroma decode {path}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "-1"), "argument --from: expected the number of an L2 block, got '-1'"),
        (("--to", "x"), "argument --to: expected the number of an L2 block, got 'x'"),
        (("--from", "7", "--to", "5"), "--to 5 is below --from 7"),
    ],
)
def test_derive_refuses_a_range_that_makes_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["derive", str(SHORT), *arguments])
    assert told in capsys.readouterr().err


def test_derive_executes_where_no_chain_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def strip(content: Any) -> None:
        del content["expected"]

    with_chain = objects(capsys, "derive", SHORT)
    assert objects(capsys, "derive", altered(tmp_path, SHORT, strip)) == with_chain


def test_derive_of_a_reorged_chain_prints_the_final_one_once(capsys: pytest.CaptureFixture[str]) -> None:
    expected = load(REORG)["expected"]["blocks"]
    last = {block["number"]: block["attributes"] for block in objects(capsys, "derive", REORG)}
    assert last == {block["number"]: block["attributes"] for block in expected}


def test_decode_accounts_for_every_block_and_channel(capsys: pytest.CaptureFixture[str]) -> None:
    accounts = objects(capsys, "decode", DELTA)
    channels = [channel for account in accounts for channel in account["channels"]]
    batches = [batch for channel in channels for batch in channel["batches"]]
    numbers = [number for batch in batches for number in range(batch["first_block"], batch["last_block"] + 1)]
    expected = load(DELTA)["expected"]["blocks"]
    assert sorted(numbers) == [block["number"] for block in expected]
    transactions = sum(
        sum(1 for raw in block["attributes"]["transactions"] if not raw.startswith("0x7e")) for block in expected
    )
    assert sum(batch["transactions"] for batch in batches) == transactions
    for channel in channels:
        assert channel["ratio"] == round(channel["decompressed"] / channel["compressed"], 2)
        assert channel["compression"] == "zlib"
        assert channel["problem"] is None


def test_decode_says_in_which_l1_block_each_block_became_safe(capsys: pytest.CaptureFixture[str]) -> None:
    accounts = objects(capsys, "decode", DELTA)
    found = {block["number"]: account["l1_block"] for account in accounts for block in account["l2_blocks"]}
    expected = load(DELTA)["expected"]["blocks"]
    assert found == {block["number"]: block["derived_from"] for block in expected}


def test_decode_says_why_something_was_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    dropped = [drop for account in objects(capsys, "decode", HOSTILE) for drop in account["dropped"]]
    subjects = {drop["subject"] for drop in dropped}
    assert {"data", "batch", "channel"} <= subjects
    for drop in dropped:
        assert drop["reason"]
        assert ".md" in drop["rule"]
        assert drop["origin"]["number"] > 0
    text = "\n".join(lines(capsys, "decode", HOSTILE))
    assert "a frame announces more data than a frame may hold" in text


def test_decode_tells_of_channels_that_timed_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(lines(capsys, "decode", TIMEOUTS))
    assert "the channel was not complete in time (opened " in text


def test_decode_survives_a_reorg(capsys: pytest.CaptureFixture[str]) -> None:
    accounts = objects(capsys, "decode", REORG)
    assert accounts[0]["restarted"] == "start"


def batcher_transactions(path: Path) -> list[str]:
    """The raw batcher transactions with frames, in order: those to the batch inbox."""
    content = load(path)
    inbox = content["rollup_config"]["batch_inbox_address"].removeprefix("0x")
    return [raw for block in content["l1"]["blocks"] for raw in block["transactions"] if inbox in raw]


def test_decode_takes_transactions_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    raw = batcher_transactions(DELTA)[0]
    file = tmp_path / "tx.hex"
    file.write_text(raw + "\n")
    [by_value] = objects(capsys, "decode", "--tx", raw)
    [by_file] = objects(capsys, "decode", "--tx", f"@{file}")
    assert by_value == by_file
    assert by_value["inputs"][0]["name"].startswith("transaction 0x")
    assert by_value["inputs"][0]["frames"]


def test_decode_numbers_blocks_where_the_chain_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rollup = tmp_path / "rollup.json"
    rollup.write_text(json.dumps(load(DELTA)["rollup_config"]))
    arguments = [word for raw in batcher_transactions(DELTA) for word in ("--tx", raw)]
    [with_chain] = objects(capsys, "decode", *arguments, "--chain", rollup)
    [without] = objects(capsys, "decode", *arguments)
    blocks = [batch["first_block"] for channel in with_chain["channels"] for batch in channel["batches"]]
    assert 1 in blocks
    assert {batch["first_block"] for channel in without["channels"] for batch in channel["batches"]} == {None}
    assert with_chain["incomplete"] == without["incomplete"] == []


FRAME = "00" * 16 + "0000" + "00000002" + "abcd" + "00"


def test_decode_takes_frames_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    [found] = objects(capsys, "decode", "--frames", "0x00" + FRAME)
    assert found["inputs"] == [
        {
            "name": "--frames", "size": 26, "problem": None,
            "frames": [{"channel": "00" * 16, "number": 0, "size": 2, "is_last": False}],
        }
    ]  # fmt: skip
    assert found["incomplete"] == [{"id": "00" * 16, "frames": 1, "size": 2}]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("01", "version byte"),
        ("00", "no frame follows"),
        ("00" + FRAME[:-2], "cut short"),
        ("00" + FRAME[:-2] + "02", "last flag"),
    ],
)
def test_decode_says_why_an_input_has_no_frames(capsys: pytest.CaptureFixture[str], data: str, told: str) -> None:
    assert main(["decode", "--frames", data]) == 1
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tx", "zz"], "expected hexadecimal digits"),
        (["--tx", "0x02c0"], "not an L1 transaction"),
        (["--frames", "@/nowhere/x"], "/nowhere/x: No such file"),
        (["--frames", "00", "--chain", "atlantis"], "atlantis"),
    ],
)
def test_decode_tells_what_is_wrong_with_its_input(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["decode", *arguments]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("arguments", [[], ["x.json", "--tx", "00"]])
def test_decode_needs_one_kind_of_input(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["decode", *arguments])
    assert caught.value.code == 2
    assert "name a recording, or give --tx or --frames" in capsys.readouterr().err


def test_a_damaged_xz_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json.xz"
    path.write_bytes(lzma.compress(b"{}"))
    assert main(["decode", str(path)]) == 1
    assert "x.json.xz" in capsys.readouterr().err
