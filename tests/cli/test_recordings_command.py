"""`kroma recordings`: a suite made of recordings, and clients that are held to it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kroma_core.cli import main
from kroma_core.recording import import_vector, open_recording
from tests.architecture.sources import ROOT

CHAINS = ROOT / "tests" / "vectors" / "data" / "op-chains"
EXAMPLES = ROOT / "examples" / "derivation_suite"
LINES = (sys.executable, str(EXAMPLES / "regolith_lines.py"))
OURS = ("sh", str(EXAMPLES / "kroma.sh"), "{l1}", "{beacon}", "{rollup}", "{genesis}", "{l1_config}", "{rpc_port}",
        "{eth_port}", "{port1}")  # fmt: skip


@pytest.fixture(autouse=True)
def _installed_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The `kroma` that a client's script calls is the one beside this Python, whether or not a shell has it."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite") / "suite"
    names = ("plain-bedrock", "reorg-jovian", "timeouts-fjord", "timeouts-regolith")
    assert main(["recordings", "export", str(folder), *(str(CHAINS / f"{name}.json.xz") for name in names)]) == 0
    return folder


def entry(suite: Path, name: str) -> dict[str, Any]:
    manifest = json.loads((suite / "manifest.json").read_text())
    found: dict[str, Any] = next(one for one in manifest["chains"] if one["name"] == name)
    return found


def run(suite: Path, action: str, command: tuple[str, ...], folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the JSON report."""
    report = folder / "report.json"
    given = ["recordings", action, *options, "--report", str(report), "--work", str(folder / "work"), str(suite)]
    code = main([*given, "--", *command])
    return code, json.loads(report.read_text())


def test_the_manifest_says_what_each_file_is(suite: Path) -> None:
    manifest = json.loads((suite / "manifest.json").read_text())
    assert manifest["format"] == "derivation-suite/1"
    assert [one["name"] for one in manifest["chains"]] == [
        "plain-bedrock", "reorg-jovian", "timeouts-fjord", "timeouts-regolith"
    ]  # fmt: skip
    for one in manifest["chains"]:
        for file in (one["l1"], one["expected"]):
            data = (suite / file["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
            assert len(data) == file["bytes"]
    assert "MIT License" in (suite / "README.md").read_text()


def test_an_entry_says_what_its_chain_exercises(suite: Path) -> None:
    chain = entry(suite, "reorg-jovian")
    assert (chain["family"], chain["forks"][-1]["name"], chain["l1_blocks"], chain["l2_blocks"]) == (
        "op", "jovian", 50, 207
    )  # fmt: skip
    assert chain["exercises"] == ["singular batches: 84", "span batches: 123", "L1 reorgs: 6"]


def test_what_a_client_gets_has_nothing_of_what_it_must_come_to(suite: Path) -> None:
    world = json.loads((suite / "l1" / "plain-bedrock.json").read_text())
    assert set(world) == {
        "format", "name", "summary", "made_by", "rollup_config", "l1_chain_config", "l2_genesis", "l1", "blobs",
        "timeline",
    }  # fmt: skip
    with open_recording(suite / "l1" / "plain-bedrock.json") as recording:
        assert recording.expected is None
        assert recording.step_count == 18
    assert entry(suite, "plain-bedrock")["safe_head"]["hash"].removeprefix("0x") not in json.dumps(world)


def test_a_recording_of_the_other_format_makes_the_same_files(suite: Path, tmp_path: Path) -> None:
    stored = import_vector(CHAINS / "reorg-jovian.json.xz", tmp_path / "reorg-jovian.krec")
    assert main(["recordings", "export", str(tmp_path / "suite"), str(stored)]) == 0
    for name in ("l1", "expected"):
        one, other = (json.loads((top / name / "reorg-jovian.json").read_text()) for top in (suite, tmp_path / "suite"))
        for found in (one, other):
            for blob, data in found.get("blobs", {}).items():
                found["blobs"][blob] = data.removesuffix("00" * ((len(data) - len(data.rstrip("0"))) // 2))
            for block in found.get("blocks", ()):
                block["attributes"] = {key: value for key, value in block["attributes"].items() if value is not None}
                block["payload"] = {key: value for key, value in block["payload"].items() if value is not None}
        assert one == other


def test_a_folder_that_has_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    assert main(["recordings", "export", str(tmp_path), str(CHAINS / "plain-bedrock.json.xz")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert "is not an empty folder; nothing was written" in capsys.readouterr().err


def test_a_library_that_shares_no_code_derives_a_chain_line_by_line(suite: Path, tmp_path: Path) -> None:
    code, report = run(suite, "derive", LINES, tmp_path, "--only", "timeouts-*")
    assert code == 0
    assert {one["chain"]: (one["outcome"], one["reason"]) for one in report["results"]} == {
        "timeouts-fjord": ("skipped", "canyon and later upgrades"),
        "timeouts-regolith": ("passed", ""),
    }


@pytest.mark.slow
def test_our_own_derivation_passes_as_a_library_by_the_same_lines(tmp_path: Path) -> None:
    """The procedure holds for reorgs, blobs, hostile data, refused blocks, upgrades, and both families."""
    names = ("reorg-holocene", "invalid-payload-delta", "invalid-payload-jovian", "blobs-ecotone", "hostile-jovian-2",
             "upgrade-bedrock-to-jovian", "expiry-fjord")  # fmt: skip
    kroma = [CHAINS.parent / "kroma-chains" / f"{name}.json.xz" for name in ("mpt-transition", "span-overlap-zk")]
    files = [*(CHAINS / f"{name}.json.xz" for name in names), *kroma]
    assert main(["recordings", "export", str(tmp_path / "suite"), *map(str, files)]) == 0
    client = (sys.executable, str(Path(__file__).with_name("derivation_lines.py")))
    code, report = run(tmp_path / "suite", "derive", client, tmp_path)
    assert code == 0, report
    assert report["counts"] == {"passed": 9, "failed": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"gasLimit": hex(config[3])', '"gasLimit": hex(config[3] + 1)', "gas_limit: expected 30000000, got 30000001"),
        ('["channel_timeout"]', '["channel_timeout"] - 1', "of 34 blocks: L2 block"),
        ('say({"type": "end"})', "None", "the client ended with exit code 0, without a message of type end"),
        ('say({"type": "end"})', 'print("done")', "a line that is not JSON"),
        ("    Derivation(world", "    raise SystemExit(3)\n    Derivation(world", "ended with exit code 3"),
    ],
    ids=["other attributes", "other rule", "no end", "no JSON", "crash"],
)
def test_a_library_with_a_fault_is_told_what_differs(
    old: str, new: str, reason: str, suite: Path, tmp_path: Path
) -> None:
    source = (EXAMPLES / "regolith_lines.py").read_text()
    assert old in source
    faulty = tmp_path / "faulty.py"
    faulty.write_text(source.replace(old, new))
    code, report = run(suite, "derive", (sys.executable, str(faulty)), tmp_path, "--only", "timeouts-regolith")
    assert code == 1
    assert report["results"][0]["outcome"] == "failed"
    assert reason in report["results"][0]["reason"]


def test_our_own_node_is_held_to_it_as_any_client_is(suite: Path, tmp_path: Path) -> None:
    junit, table = tmp_path / "report.xml", tmp_path / "report.md"
    options = ("--only", "timeouts-fjord", "--report", str(junit), "--report", str(table), "--client", "this node")
    code, report = run(suite, "run", OURS, tmp_path, *options)
    assert code == 0, report
    assert report["counts"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert "| op | fjord | 1 | 0 | 0 |" in table.read_text()
    assert ElementTree.parse(junit).getroot().attrib["tests"] == "1"


@pytest.mark.slow
@pytest.mark.parametrize("steps", [(), ("--steps",)], ids=["at once", "step by step"])
def test_our_own_node_passes_several_chains(steps: tuple[str, ...], suite: Path, tmp_path: Path) -> None:
    code, report = run(suite, "run", OURS, tmp_path, *steps)
    assert code == 0, report
    assert report["counts"] == {"passed": 4, "failed": 0, "skipped": 0}


def ours_with(change: str) -> tuple[str, ...]:
    """Our node, after a change (for sed) to its rollup.json."""
    return ("sh", "-c", f'sed -i \'{change}\' "$4" && exec sh "$@"', "sh", *OURS[1:])


def test_a_client_that_makes_another_block_is_told_which_and_what_differs(suite: Path, tmp_path: Path) -> None:
    command = ours_with('s/\\("scalar": "0x[0-9a-f]*\\)[0-9a-f]"/\\1f"/')
    code, report = run(suite, "run", command, tmp_path, "--only", "timeouts-fjord")
    assert code == 1
    assert "expected L2 block 1 (0xdfcec2e8" in report["results"][0]["reason"]
    assert "the first other block is 1: expected stateRoot 0x" in report["results"][0]["reason"]


@pytest.mark.slow
def test_a_client_that_stops_too_early_is_told_how_far_it_came(suite: Path, tmp_path: Path) -> None:
    command = ours_with('s/"channel_timeout": [0-9]*/"channel_timeout": 2/')
    code, report = run(suite, "run", command, tmp_path, "--only", "timeouts-fjord", "--seconds", "5")
    assert code == 1
    assert "it stands at safe head 1 (0xdfcec2e8" in report["results"][0]["reason"]
    assert "has read L1 up to block 35; it has no L2 block 2" in report["results"][0]["reason"]


def test_a_client_that_ends_fails_with_the_end_of_its_log(suite: Path, tmp_path: Path) -> None:
    command = ("sh", "-c", "echo no such option >&2; exit 3", "{l1}", "{rpc_port}")
    code, report = run(suite, "run", command, tmp_path, "--only", "timeouts-fjord")
    assert code == 1
    assert report["results"][0]["reason"] == "client ended with exit code 3"
    assert report["results"][0]["log"] == "no such option\n"


def test_a_chain_that_is_left_out_needs_a_reason_and_is_in_the_report(suite: Path, tmp_path: Path) -> None:
    code, report = run(suite, "derive", LINES, tmp_path, "--only", "timeouts-*", "--skip", "*-fjord=brotli is missing")
    assert code == 0
    assert report["results"][0]["reason"] == "brotli is missing"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "nothing", "SUITE", "--", "true"], "no chain of the suite is called nothing"),
        (["--skip", "a", "SUITE", "--", "true"], "--skip a: expected NAME=REASON"),
        (["--report", "table.txt", "SUITE", "--", "true"], "a report is called .md (a table), .json, or .xml"),
        (["SUITE", "--", "true", "{l2}"], "the command has {l2}; known are {l1} (the chain's L1 file)"),
        (["SUITE", "--", "/no/such/client"], "start /no/such/client: No such file or directory"),
        (["/tmp/no-such-suite", "--", "true"], "no-such-suite/manifest.json: No such file or directory"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_message(
    options: list[str], message: str, suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recordings", "derive", *(str(suite) if one == "SUITE" else one for one in options)]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_a_folder_that_no_run_has_made_is_never_emptied(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "timeouts-fjord" / "mine"
    mine.parent.mkdir()
    mine.write_text("mine")
    command = ["recordings", "derive", "--only", "timeouts-fjord", "--work", str(tmp_path), str(suite), "--", *LINES]
    assert main(command) == 1
    assert mine.read_text() == "mine"
    assert "was not made by a run: it is left alone" in capsys.readouterr().err


def test_a_manifest_that_leads_elsewhere_is_refused(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (suite / "manifest.json").read_text().replace('"name": "plain-bedrock"', '"name": "../../home"')
    (tmp_path / "manifest.json").write_text(text)
    assert main(["recordings", "derive", str(tmp_path), "--", "true"]) == 1
    assert "a chain called '../../home'" in capsys.readouterr().err


def test_a_file_that_was_changed_is_not_used(suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in suite.rglob("*.*"):
        target = tmp_path / "copy" / path.relative_to(suite)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    changed = tmp_path / "copy" / "expected" / "timeouts-regolith.json"
    changed.write_text(changed.read_text().replace("singular", "span", 1))
    assert main(["recordings", "derive", "--only", "timeouts-*", str(tmp_path / "copy"), "--", *LINES]) == 1
    assert "timeouts-regolith.json: expected SHA-256" in capsys.readouterr().err
