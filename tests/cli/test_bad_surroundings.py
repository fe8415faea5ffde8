"""What is around a node goes wrong: disks, signals, other nodes, closed outputs. Told in one message, and got over."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.recordings import BEDROCK, REORG, SHORT, kroma

KROMA = Path(sys.executable).with_name("kroma")


def profile(folder: Path, recording: Path = SHORT, *, follow: bool = False, level: str = "warning") -> Path:
    """A node on a recording that keeps its chain in `folder/data`."""
    path = folder / f"{recording.name.split('.')[0]}.toml"
    path.write_text(
        f"[chain]\nrecording = '{recording}'\n"
        f"[l1]\nkind = 'cassette'\npath = '{recording}'\nfollow = {str(follow).lower()}\n"
        f"[[blobs]]\nkind = 'cassette'\npath = '{recording}'\n[[data]]\nkind = 'calldata'\n[[data]]\nkind = 'blob'\n"
        f"[engine]\nkind = 'pyevm'\n[node]\nlog_level = '{level}'\ndata_dir = '{folder / 'data'}'\n"
    )
    return path


def run_on_a_full_disk(file_size: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command as an operator runs it, where no file may become longer than `file_size`."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return subprocess.run(
        [KROMA, *arguments], capture_output=True, text=True, preexec_fn=limit, timeout=300, check=False
    )


def head_of(recording: Path) -> str:
    done = kroma("replay", "--json", recording)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["head"]
    return f"safe {found['number']} ({found['hash']}), "


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("file_size", "told"),
    [
        (0, "kroma: write {data}/kroma.json: File too large"),
        (5_000, "kroma: while opening engine 'pyevm' (kroma-engine-pyevm "),
        (100_000, "kroma: while trying to include a block on "),
    ],
    ids=["before anything", "while opening", "between blocks"],
)
def test_a_full_disk_is_told_with_file_and_block_and_the_same_command_goes_on(
    tmp_path: Path, file_size: int, told: str
) -> None:
    node = profile(tmp_path)
    full = run_on_a_full_disk(file_size, "run", node)
    assert full.returncode == 1
    line = last_line(full)
    assert line.startswith(told.format(data=tmp_path / "data"))
    assert str(tmp_path / "data") in line
    assert line.endswith("File too large")
    again = kroma("run", node)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(head_of(SHORT))


@pytest.mark.slow
def test_a_node_killed_again_and_again_arrives_where_an_undisturbed_one_does(tmp_path: Path) -> None:
    node = profile(tmp_path, REORG, level="debug")
    for number, lines in ((signal.SIGKILL, 15), (signal.SIGINT, 60), (signal.SIGKILL, 150), (signal.SIGKILL, 400)):
        with subprocess.Popen([KROMA, "run", node], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            for _ in range(lines):
                assert process.stderr.readline()
            process.send_signal(number)
            process.stderr.read()
        assert process.returncode == (-number if number == signal.SIGKILL else 130)
    last = kroma("run", node)
    assert last.returncode == 0, last.stderr[-600:]
    assert last.stdout.startswith(head_of(REORG))


def test_a_data_directory_of_another_chain_is_refused_by_name(tmp_path: Path) -> None:
    assert kroma("run", profile(tmp_path)).returncode == 0
    other = kroma("run", profile(tmp_path, BEDROCK))
    assert other.returncode == 1
    line = last_line(other)
    assert line.startswith(f"kroma: data directory {tmp_path / 'data'}: it belongs to chain ")
    assert ", this profile is for " in line
    assert kroma("run", profile(tmp_path)).returncode == 0


def test_a_second_node_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    node = profile(tmp_path, follow=True, level="info")
    with subprocess.Popen([KROMA, "run", node], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        for line in first.stderr:
            if "L2 block " in line:
                break
        second = kroma("run", node)
        assert second.returncode == 1
        assert last_line(second) == f"kroma: data directory {tmp_path / 'data'}: another node is using it"
        first.send_signal(signal.SIGTERM)
        first.stderr.read()
    assert first.returncode == 130


def test_a_damaged_identity_of_a_data_directory_is_told(tmp_path: Path) -> None:
    node = profile(tmp_path)
    (tmp_path / "data").mkdir()
    identity = tmp_path / "data" / "kroma.json"
    for content in (b"", b"{", b"[]", b"\xff" * 400, b'{"schema": 1}', b'{"schema": null, "chain": 1}'):
        identity.write_bytes(content)
        done = kroma("run", node)
        assert done.returncode == 1
        assert last_line(done).startswith(f"kroma: data directory {tmp_path / 'data'}: kroma.json is damaged: ")
        assert len(last_line(done)) < 300


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    node = profile(tmp_path)
    (tmp_path / "data").write_text("")
    done = kroma("run", node)
    assert done.returncode == 1
    assert last_line(done) == f"kroma: data directory {tmp_path / 'data'}: expected a folder, got a file"


def test_an_output_that_is_full_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([KROMA, "replay", SHORT], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "kroma: No space left on device\n"


def test_a_closed_output_is_no_mistake() -> None:
    done = subprocess.run(["sh", "-c", 'exec "$0" replay "$1" >&-', KROMA, SHORT], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_ends_the_command() -> None:
    with subprocess.Popen([KROMA, "derive", "--json", BEDROCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline()
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 1
