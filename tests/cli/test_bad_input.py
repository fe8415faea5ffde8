"""Bad input gives one clear message, exit code 1 and no traceback, and the data directory opens again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kroma_core.cli import main
from tests.cli.recordings import BEDROCK, BLOBS, REORG, SHORT, Change, altered, flipped, kroma

KROMA = Path(sys.executable).with_name("kroma")


@pytest.fixture(autouse=True)
def _no_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KROMA_DEBUG", raising=False)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that has to fail; its one message."""
    assert main([str(argument) for argument in arguments]) == 1
    output = capsys.readouterr()
    lines = [line for line in (output.out + output.err).splitlines() if line]
    assert len(lines) == 1, lines
    [line] = lines
    assert "unexpected" not in line
    return line


def _block(content: Any, number: int) -> Any:
    return next(block for block in content["l1"]["blocks"] if block["number"] == number)


def _first_with(content: Any, key: str) -> Any:
    return next(block for block in content["l1"]["blocks"] if block[key])


def flip_header(content: Any) -> None:
    block = _block(content, 5)
    block["header"] = flipped(block["header"])


def flip_transaction(content: Any) -> None:
    block = _first_with(content, "transactions")
    block["transactions"][0] = flipped(block["transactions"][0])


def flip_receipt(content: Any) -> None:
    block = _first_with(content, "receipts")
    block["receipts"][0] = flipped(block["receipts"][0])


def flip_blob(content: Any) -> None:
    for key, blob in content["blobs"].items():
        content["blobs"][key] = flipped(blob) if blob != "0x" else "0x01"


def flip_genesis(content: Any) -> None:
    account = next(iter(content["l2_genesis"]["alloc"].values()))
    account["balance"] = hex(int(account["balance"], 16) + 1)


def lose_block(content: Any) -> None:
    content["l1"]["blocks"] = [block for block in content["l1"]["blocks"] if block["number"] != 7]


def lose_first_block(content: Any) -> None:
    content["l1"]["blocks"] = [block for block in content["l1"]["blocks"] if block["number"]]
    for steps in (content["timeline"], content["expected"]["safe_after"]):
        del steps[0]


def lose_blobs(content: Any) -> None:
    content["blobs"] = {}


def lose_last_blob(content: Any) -> None:
    del content["blobs"][list(content["blobs"])[-1]]


def disorder_forks(content: Any) -> None:
    content["rollup_config"] |= {"regolith_time": 200, "canyon_time": 100}


def lose_l1_config(content: Any) -> None:
    del content["l1_chain_config"]


@pytest.mark.parametrize(
    ("source", "change", "told"),
    [
        (BEDROCK, flip_header, ("header", "expected", "got")),
        (BEDROCK, flip_transaction, ("transactions root", "expected", "got")),
        (BEDROCK, flip_receipt, ("receipts root", "expected", "got")),
        (BLOBS, flip_blob, ("blob 0x", "expected")),
        (BEDROCK, flip_genesis, ("genesis", "hash", "0x")),
        (BEDROCK, lose_block, ("7",)),
        (BEDROCK, lose_first_block, ("L1 block 0 is missing, and the L1 head is 1 (0x",)),
        (BLOBS, lose_blobs, ("blob",)),
        (BLOBS, lose_last_blob, ("derivation cannot go on", "blob 0x", "of L1 block 12 (0x")),
        (BEDROCK, disorder_forks, ("canyon", "regolith", "100", "200")),
        (BLOBS, lose_l1_config, ("l1_chain_id", "900")),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value.name if isinstance(value, Path) else ""),
)
def test_a_damaged_recording_is_told_with_file_place_expected_and_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: Path, change: Change, told: tuple[str, ...]
) -> None:
    message = complaint(capsys, "replay", altered(tmp_path, source, change))
    assert "altered.json" in message
    assert [word for word in told if word not in message] == []


@pytest.mark.parametrize("command", ["replay", "derive", "decode"])
def test_a_missing_blob_is_told_with_the_file_that_lacks_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = altered(tmp_path, BLOBS, lose_blobs)
    assert main([command, str(path)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"blob 0x[0-9a-f]{64} of L1 block 1 \(0x[0-9a-f]{64}\)", message)
    assert f"expected from one of 1 blob sources ({path}), none has it" in message


def test_a_message_names_the_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = altered(tmp_path, BEDROCK, flip_header)
    assert complaint(capsys, "replay", path).count(str(path)) == 1


@pytest.mark.parametrize("length", [0, 10, 1000, -1000])
def test_a_recording_cut_short_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], length: int) -> None:
    cut = tmp_path / "cut.json.xz"
    cut.write_bytes(BEDROCK.read_bytes()[:length])
    assert "cut.json.xz" in complaint(capsys, "replay", cut)


@pytest.mark.parametrize("command", ["replay", "derive", "decode"])
def test_a_recording_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    message = complaint(capsys, command, tmp_path / "absent.json.xz")
    assert "absent.json.xz" in message


def test_a_folder_instead_of_a_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "replay", tmp_path) == f"{tmp_path}: not a file"


def test_what_is_wrong_with_a_recording_as_a_whole_has_no_empty_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered(tmp_path, SHORT, lambda content: content.update(timeline=None))
    assert complaint(capsys, "replay", path) == f"{path}: timeline: expected a JSON list, got null"


def test_a_typo_in_a_profile_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text(f"[chain]\nrecording = '{BEDROCK}'\n[engine]\nkind = 'pyevm'\nstoer = 'memory'\n"
                       f"[l1]\nkind = 'cassette'\npath = '{BEDROCK}'\n[[data]]\nkind = 'calldata'\n")  # fmt: skip
    for command in ("check", "run"):
        message = complaint(capsys, command, profile)
        assert message == f'kroma: {profile}: [engine] stoer: unknown key; did you mean "store"?'


def test_a_missing_plugin_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text("[engine]\nkind = 'revm'\n")
    message = complaint(capsys, "replay", SHORT, "--profile", profile)
    assert "no installed plugin offers engine 'revm'; installed for engine: pyevm (kroma-engine-pyevm)" in message


def _profile(folder: Path, recording: Path) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f"[chain]\nrecording = '{recording}'\n[l1]\nkind = 'cassette'\npath = '{recording}'\n"
        f"[[blobs]]\nkind = 'cassette'\npath = '{recording}'\n[[data]]\nkind = 'calldata'\n[[data]]\nkind = 'blob'\n"
        "[engine]\nkind = 'pyevm'\n[node]\nlog_level = 'debug'\n"
    )
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_node_that_is_stopped_goes_on_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    profile = _profile(tmp_path, REORG)
    with subprocess.Popen([KROMA, "run", profile], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as node:
        assert node.stderr is not None
        for line in node.stderr:
            if "L2 block 20 " in line:
                break
        node.send_signal(number)
        rest = node.stderr.read()
    if number is not signal.SIGKILL:
        assert node.returncode == 130
        assert rest.splitlines()[-1] == "kroma: interrupted"
        assert "Traceback" not in rest
    again = kroma("run", profile)
    assert again.returncode == 0, again.stderr[-600:]
    assert again.stdout.startswith("safe 208 ")


def test_ctrl_c_in_a_replay_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [KROMA, "replay", BLOBS, BEDROCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as replay:
        while not list(tmp_path.glob("kroma-replay-*/engine")):
            time.sleep(0.01)
        replay.send_signal(signal.SIGINT)
        _, errors = replay.communicate(timeout=60)
    assert replay.returncode == 130
    assert errors == "kroma: interrupted\n"
    assert list(tmp_path.iterdir()) == []
