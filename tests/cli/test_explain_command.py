"""`kroma explain` on a recording, and on what a node kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.cli import main

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


def test_a_node_that_never_ran_has_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "node.toml"
    profile.write_text(f'[chain]\nrecording = "{FILE}"\n[l1]\nkind = "cassette"\npath = "{FILE}"\n'
                       f'[[blobs]]\nkind = "cassette"\npath = "{FILE}"\n[[data]]\nkind = "blob"\n'
                       f'[engine]\nkind = "recorded"\npath = "{FILE}"\n')  # fmt: skip
    assert main(["explain", "stall", "--profile", str(profile)]) == 1
    assert "explain.sqlite: there is no such file" in capsys.readouterr().err
