"""`kroma explain` on a recording, and on what a node kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.cli import main
from kroma_core.codec.keccak import keccak256
from kroma_core.recording import open_recording
from kroma_core.types import L2Number

pytest.importorskip("kroma_l1_cassette", reason="recordings are played by the plugin l1_cassette")
pytest.importorskip("kroma_da_blob", reason="the recording's batches travel in blobs")

FILE = Path(__file__).parents[1] / "vectors/data/op-chains/blobs-jovian.json.xz"


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    assert main(["explain", *arguments, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_recording_is_derived_for_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(capsys, "block", "3", str(FILE))
    assert answer["safe"] is True
    assert [made["l1"] for made in answer["transactions"]] == [2, 2]  # type: ignore[attr-defined]  # a list
    transaction = answer["transactions"][0]["transaction"]  # type: ignore[index]  # a list
    assert asked(capsys, "tx", transaction, str(FILE))["accepted"] is True


def test_what_nobody_knows_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "l1", "99999", str(FILE), code=1)["found"] is False


def test_a_question_without_a_node_or_a_recording_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "stall"])
    assert stopped.value.code == 2
    assert "name the --profile of a node, or a recording" in capsys.readouterr().err


def test_a_node_that_ran_can_be_asked_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "node.toml"
    profile.write_text(
        f"""
[chain]
recording = "{FILE}"
[l1]
kind = "cassette"
path = "{FILE}"
[[blobs]]
kind = "cassette"
path = "{FILE}"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "recorded"
path = "{FILE}"
[node]
stop_after = 10
"""
    )
    assert main(["run", str(profile)]) == 0
    capsys.readouterr()
    answer = asked(capsys, "block", "3", "--profile", str(profile))
    assert answer["safe"] is True
    stall = asked(capsys, "stall", "--profile", str(profile))
    assert stall["cause"] == "not_running"


def test_a_transaction_on_l2_is_found_in_the_engine_of_a_node_that_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("kroma_engine_pyevm", reason="an engine that answers state queries")
    profile = tmp_path / "node.toml"
    profile.write_text(
        f"""
[chain]
recording = "{FILE}"
[l1]
kind = "cassette"
path = "{FILE}"
[[blobs]]
kind = "cassette"
path = "{FILE}"
[[data]]
kind = "calldata"
[[data]]
kind = "blob"
[engine]
kind = "pyevm"
[node]
stop_after = 6
data_dir = "{tmp_path / "data"}"
"""
    )
    assert main(["run", str(profile)]) == 0
    capsys.readouterr()
    with open_recording(FILE) as recording:
        assert recording.expected is not None
        block = recording.expected.block(L2Number(3))
    assert block is not None
    name = "0x" + keccak256(block.payload.transactions[0]).hex()
    answer = asked(capsys, "tx", name, "--profile", str(profile))
    assert (answer["layer"], answer["number"]) == ("L2", 3)
    assert asked(capsys, "tx", "0x" + "77" * 32, "--profile", str(profile), code=1)["found"] is False


def test_a_transaction_on_l2_where_the_engine_does_not_tell_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "node.toml"
    profile.write_text(
        f'[chain]\nrecording = "{FILE}"\n[l1]\nkind = "cassette"\npath = "{FILE}"\n'
        f'[[blobs]]\nkind = "cassette"\npath = "{FILE}"\n[[data]]\nkind = "blob"\n[[data]]\nkind = "calldata"\n'
        f'[engine]\nkind = "recorded"\npath = "{FILE}"\n[node]\nstop_after = 1\n'
    )
    assert main(["run", str(profile)]) == 0
    capsys.readouterr()
    assert main(["explain", "tx", "0x" + "77" * 32, "--profile", str(profile)]) == 1
    assert "its engine answers no questions about L2 transactions" in capsys.readouterr().err


def test_a_node_that_never_ran_has_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "node.toml"
    profile.write_text(f'[chain]\nrecording = "{FILE}"\n[l1]\nkind = "cassette"\npath = "{FILE}"\n'
                       f'[[blobs]]\nkind = "cassette"\npath = "{FILE}"\n[[data]]\nkind = "blob"\n'
                       f'[engine]\nkind = "recorded"\npath = "{FILE}"\n')  # fmt: skip
    assert main(["explain", "stall", "--profile", str(profile)]) == 1
    assert "explain.sqlite: there is no such file: this node has not come as far as deriving" in capsys.readouterr().err
