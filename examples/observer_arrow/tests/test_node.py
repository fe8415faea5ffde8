"""A node with the observer, over a recorded chain, and the README's query of what it wrote."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kroma_core.recording import open_recording
from kroma_core.testing.engine_world import VECTORS

TOP = Path(__file__).parents[1]
CHAIN = VECTORS / "op-bedrock.json.xz"
KROMA = (
    "import sys; from importlib.metadata import entry_points; "
    "sys.exit(entry_points(group='console_scripts')['kroma'].load()(sys.argv[1:]))"
)
PROFILE = f"""
[chain]
recording = "{CHAIN}"

[l1]
kind = "cassette"
path = "{CHAIN}"

[[data]]
kind = "calldata"

[engine]
kind = "pyevm"

[[observe]]
kind = "arrow"
folder = "analysis"
"""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a node over the recorded chain has filled."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "node.toml").write_text(PROFILE)
    command = [sys.executable, "-c", KROMA, "run", "node.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "analysis"


def test_the_blocks_are_those_of_the_recorded_chain(analysis: Path) -> None:
    import pyarrow.dataset as ds

    assert list(analysis.glob("*.part")) == []
    found = ds.dataset([str(path) for path in analysis.glob("blocks-*")]).to_table().sort_by("number").to_pylist()
    with open_recording(CHAIN) as recording:
        assert recording.expected is not None
        payloads = [block.payload for block in recording.expected.blocks()]
    assert [(row["number"], row["hash"]) for row in found] == [(p.number, "0x" + p.hash.hex()) for p in payloads]
    assert [row["gas_used"] for row in found] == [payload.gas_used for payload in payloads]
    assert [row["transactions"] for row in found] == [len(payload.transactions) for payload in payloads]


def test_the_readmes_query_prints_what_the_readme_shows(analysis: Path) -> None:
    command = [sys.executable, str(TOP / "query.py"), str(analysis)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    [shown] = re.findall(r"^\$ python query\.py analysis\n(.*?)^```", (TOP / "README.md").read_text(), re.M | re.S)
    assert done.stdout == shown
