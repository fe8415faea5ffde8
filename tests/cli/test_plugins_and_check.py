"""`kroma plugins`, `kroma check` and `kroma version`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.api import API_VERSION
from kroma_core.cli import main
from tests.cli.recordings import BEDROCK

IN_TREE = [
    ("l1", "cassette"), ("blobs", "cassette"), ("data", "blob"), ("data", "calldata"), ("engine", "pyevm"),
    ("engine", "recorded"),
]  # fmt: skip


def test_plugins_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["ROLE", "KIND", "DISTRIBUTION", "VERSION", "API", "CAPABILITIES"]
    listed = {tuple(row.split()[:2]) for row in rows}
    assert set(IN_TREE) <= listed


def test_plugins_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["broken"] == found["problems"] == []
    for offer in found["offers"]:
        assert offer["api"] == API_VERSION
        assert offer["summary"], offer["kind"]
        for setting in offer["settings"]:
            assert setting["doc"], f"{offer['kind']}.{setting['name']} has no text"


def test_info_shows_every_role_of_a_kind_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "info", "cassette"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("l1 cassette\n")
    assert "\nblobs cassette\n" in text
    assert "distribution  kroma-l1-cassette " in text
    assert "    path: recording; must be given\n" in text
    assert "    follow: true or false; default false\n" in text


def test_info_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "info", "pyevm", "--json"]) == 0
    [offer] = json.loads(capsys.readouterr().out)
    assert (offer["role"], offer["distribution"]) == ("engine", "kroma-engine-pyevm")
    assert "executes" in offer["capabilities"]


def test_info_on_an_unknown_kind_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "info", "revm"]) == 1
    assert "no installed plugin offers 'revm'; installed: cassette, " in capsys.readouterr().err


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(text)
    return path


GOOD = f"""
[chain]
recording = "{BEDROCK}"
[l1]
kind = "cassette"
path = "{BEDROCK}"
[[data]]
kind = "calldata"
[engine]
kind = "pyevm"
"""


def test_check_of_a_good_profile_shows_the_plan_and_opens_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, GOOD)
    assert main(["check", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{path}: ok\n")
    assert "engine   pyevm (kroma-engine-pyevm " in text
    assert list(tmp_path.iterdir()) == [path]


def test_check_tells_every_problem_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path,
        """
        [chain]
        rollup = "absent.json"
        [l1]
        kind = "telegraph"
        [[data]]
        kind = "calldata"
        spead = 3
        [engine]
        kind = "recorded"
        needs = ["executes"]
        path = "gone.json.xz"
        [node]
        log_level = "loud"
        """,
    )
    assert main(["check", str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    told = output.err
    for problem in (
        "[chain] rollup: there is no file",
        "[l1] kind: no installed plugin offers l1 'telegraph'",
        "[[data]] spead: unknown key",
        "[engine] needs: 'recorded' (kroma-l1-cassette 0.1.0) lacks executes; there is pyevm",
        "[engine] path: there is no file",
        "[node] log_level: expected one of debug, info, warning, error",
    ):
        assert problem in told


def test_check_refuses_a_chain_that_the_engine_cannot_execute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace(f'recording = "{BEDROCK}"', 'name = "op-mainnet"')
    assert main(["check", str(write(tmp_path, text))]) == 1
    assert "[engine]" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("kroma 0.1.0 (plugin API 1, Python 3.")
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "0.1.0"


@pytest.mark.parametrize("command", ["", "run", "check", "replay", "derive", "decode", "plugins", "version"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: kroma {command}".rstrip())
