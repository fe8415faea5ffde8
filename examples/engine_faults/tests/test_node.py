"""A node on the part, over a recorded chain: `kroma run` and `kroma replay`, as an operator calls them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from kroma_core.recording import open_recording
from kroma_core.testing.engine_world import VECTORS

CHAIN = VECTORS / "op-bedrock.json.xz"
SCRIPT = Path(__file__).parents[1] / "faults.toml"
KROMA = (
    "import sys; from importlib.metadata import entry_points; "
    "sys.exit(entry_points(group='console_scripts')['kroma'].load()(sys.argv[1:]))"
)
PROFILE = """
[chain]
recording = "{chain}"

[l1]
kind = "cassette"
path = "{chain}"

[[data]]
kind = "calldata"

[engine]
kind = "faulty"
script = "{script}"

[engine.wraps]
kind = "pyevm"

[node]
log_format = "json"
"""


def kroma(folder: Path, script: str, *arguments: str, profile: str = PROFILE) -> subprocess.CompletedProcess[str]:
    """The command, in a folder with `node.toml` and the script."""
    (folder / "script.toml").write_text(script)
    (folder / "node.toml").write_text(profile.format(chain=CHAIN, script="script.toml"))
    return subprocess.run(
        [sys.executable, "-c", KROMA, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_node_arrives_at_the_recorded_hashes_in_spite_of_faults_that_pass(tmp_path: Path) -> None:
    done = kroma(tmp_path, SCRIPT.read_text(), "run", "node.toml", "--json")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    struck = {found[1] for line in told if (found := re.search(r"\((.*)\) strikes", line.get("warning", "")))}
    assert struck == {"delay", "error", "lost", "syncing", "restart"}
    with open_recording(CHAIN) as recording:
        assert recording.expected is not None
        recorded = {int(block.payload.number): "0x" + block.hash.hex() for block in recording.expected.blocks()}
    moved = [line["safe"] for line in told if line["event"] == "heads_moved" and line["safe"]["number"]]
    assert [head["hash"] for head in moved] == [recorded[head["number"]] for head in moved]
    assert json.loads(done.stdout)["safe"] == {"number": 94, "hash": recorded[94]}


def test_the_same_script_strikes_a_node_in_the_same_places(tmp_path: Path) -> None:
    def strikes(name: str) -> list[str]:
        (tmp_path / name).mkdir()
        done = kroma(tmp_path / name, SCRIPT.read_text(), "run", "node.toml")
        return re.findall(r"fault \d+ \(.*?\) strikes [^\"]*", done.stderr)

    first = strikes("a")
    assert len(first) > 20
    assert strikes("b") == first


def test_a_block_that_is_called_invalid_once_is_missing_for_good(tmp_path: Path) -> None:
    """INVALID is a verdict and no failure: the batch is dropped, and the chain becomes another one."""
    script = '[[fault]]\ndo = "invalid"\non = ["execute"]\nfirst_block = 20\nmost = 1\n'
    done = kroma(tmp_path, script, "replay", str(CHAIN), "--profile", "node.toml")
    assert done.returncode == 1, done.stdout
    assert "block 20: attributes.transactions (count): expected 3, got 1" in done.stdout


def test_in_the_shadow_of_a_right_engine_it_is_found_out(tmp_path: Path) -> None:
    script = '[[fault]]\ndo = "invalid"\non = ["execute"]\nfirst_block = 20\nlast_block = 20\n'
    right = PROFILE.replace('[engine]\nkind = "faulty"\nscript = "{script}"\n', '[engine]\nkind = "pyevm"\n')
    shadow = right.replace(
        "[engine.wraps]", '[[engine.shadow]]\nkind = "faulty"\nscript = "{script}"\n\n[engine.shadow.wraps]'
    )
    done = kroma(tmp_path, script, "run", "node.toml", "--json", profile=shadow)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    [diverged] = [line for line in told if line["event"] == "diverged"]
    assert diverged["at"].startswith("L2 block 20 ")
    assert diverged["fields"] == ["verdict"]
    assert json.loads(done.stdout)["safe"]["number"] == 94


def test_a_script_that_is_wrong_is_told_before_anything_opens(tmp_path: Path) -> None:
    done = kroma(tmp_path, '[[fault]]\ndo = "explode"\n', "check", "node.toml")
    assert done.returncode == 1
    assert "script.toml: [[fault]] number 1: do: expected one of delay, error" in done.stderr
    assert not (tmp_path / "data").exists()
