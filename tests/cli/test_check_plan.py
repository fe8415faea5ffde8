"""`kroma check --plan`: what will be built from where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kroma_core.cli import main
from tests.cli.recordings import BEDROCK

PROFILES = sorted((Path(__file__).parents[2] / "examples" / "profiles").glob("*.toml"))
SCREEN = 50


def told(profile: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["check", str(profile), "--plan", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_setting_of_an_example_is_told_with_the_line_that_says_it(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = profile.read_text().splitlines()
    account = told(profile, capsys)
    groups = [account["chain"], *account["parts"], *account["servers"], *account["tables"]]
    assert len(groups) > 4
    for group in groups:
        for setting in group["settings"]:
            if setting["origin"] == "file":
                assert lines[setting["line"] - 1].startswith(f"{setting['name']} = "), setting
    said = sum(setting["origin"] == "file" for group in groups for setting in group["settings"])
    assert said == sum(" = " in line and line[0] not in "#[" and not line.startswith("kind") for line in lines)
    for part in account["parts"]:
        assert part["role"] in lines[part["line"] - 1]
        assert lines[part["line"]] == f'kind = "{part["kind"]}"'


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_the_plan_of_an_example_fits_on_a_screen(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(profile), "--plan"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{profile}: ok\nchain ")
    assert len(text.splitlines()) <= SCREEN
    for group in ("start ", "data in ", "engine ", "processes ", "node ", "explain "):
        assert f"\n{group}" in text


PROFILE = f"""
[chain]
recording = "{BEDROCK}"
[l1]
kind = "rpc"
urls = [{{ env = "L1_URL" }}, "https://user:hunter2@one.example/v3/hunter2?key=hunter2", {{ file = "url" }}]
[[blobs]]
kind = "beacon"
url = "https://two.example/hunter2"
authorization = {{ file = "token" }}
[[data]]
kind = "blob"
[engine]
kind = "rpc"
jwt_secret = "jwt.hex"
eth_url = "http://127.0.0.1:8545/hunter2"
"""


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_no_secret_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    jwt = "ab" * 32
    for name, text in (("p.toml", PROFILE), ("url", "https://three.example/hunter2"), ("jwt.hex", jwt)):
        (tmp_path / name).write_text(text)
    (tmp_path / "token").write_text("Bearer hunter2")
    monkeypatch.setenv("L1_URL", "https://four.example/hunter2")
    assert main(["check", str(tmp_path / "p.toml"), "--plan", *form]) == 0
    text = "".join(capsys.readouterr())
    assert "hunter2" not in text
    assert jwt not in text
    assert "https://one.example/***" in text
    assert "secret in the environment variable L1_URL, secret in the file url" in text
    assert "jwt.hex" in text


def test_the_environments_settings_are_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROMA_NODE__DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KROMA_ENGINE__STORE", "memory")
    assert main(["check", str(PROFILES[-1]), "--plan"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"data_dir = {tmp_path} KROMA_NODE__DATA_DIR" in lines
    assert "store = memory KROMA_ENGINE__STORE" in lines
    assert f"data in {tmp_path}" in lines


def test_a_node_that_has_run_tells_where_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KROMA_NODE__DATA_DIR", str(tmp_path))
    recorded = next(profile for profile in PROFILES if profile.stem == "recorded-chain")
    monkeypatch.setenv("KROMA_NODE__STOP_AFTER", "3")
    assert told(recorded, capsys)["start"]["from"] == "genesis"
    assert main(["run", "--json", str(recorded)]) == 0
    safe = json.loads(capsys.readouterr().out)["safe"]
    start = told(recorded, capsys)["start"]
    assert (start["from"], start["block"], start["stored"]["safe"]) == ("stored", safe, safe)


def test_problems_come_before_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.toml"
    path.write_text(PROFILE.replace("blobs", "blob"))
    assert main(["check", str(path), "--plan"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert 'blob: unknown key; did you mean "blobs"?' in output.err
