"""`kroma record` as an operator runs it: ended by signals, killed, on a full disk; from a recording and over HTTP."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kroma_core.recording import open_recording
from tests.cli.recordings import BLOBS, REORG, SHORT, kroma
from tests.vectors.unit_files import load

KROMA = Path(sys.executable).with_name("kroma")
CONFIGURATION = (("rollup", "rollup_config"), ("genesis", "l2_genesis"), ("l1", "l1_chain_config"))


def profile(folder: Path, recording: Path = SHORT, *, l1: str = "", blobs: str = "", follow: bool = False) -> Path:
    """A profile whose chain is in files, and whose L1 is a recording unless told otherwise."""
    content = load(recording)
    for name, key in CONFIGURATION:
        (folder / f"{name}.json").write_text(json.dumps(content[key]))
    path = folder / "profile.toml"
    played = f"kind = 'cassette'\npath = '{recording}'"
    source = l1 or f"{played}\nfollow = {str(follow).lower()}"
    path.write_text(
        "[chain]\nrollup = 'rollup.json'\ngenesis = 'genesis.json'\nl1 = 'l1.json'\n"
        f"[l1]\n{source}\n[[blobs]]\n{blobs or played}\n"
        "[[data]]\nkind = 'calldata'\n[[data]]\nkind = 'blob'\n[engine]\nkind = 'pyevm'\n"
        "[node]\nlog_level = 'warning'\n"
    )
    return path


def run_on_a_full_disk(file_size: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    return subprocess.run(
        [KROMA, *arguments], capture_output=True, text=True, preexec_fn=limit, timeout=300, check=False
    )


def replay(path: Path) -> tuple[bool, int, str]:
    """Whether a recording replays as it says itself, to which number, and to which hash."""
    found = json.loads(kroma("replay", "--json", path).stdout)
    return found["ok"] and found["compared"], found["head"]["number"], found["head"]["hash"]


def recorded_head(path: Path, step: int = -1) -> tuple[bool, int, str]:
    """What the reference client made of a recording up to a step."""
    safe = load(path)["expected"]["safe_after"][step]["safe_l2"]
    return True, safe["number"], safe["hash"]


@contextmanager
def recording(profile_path: Path, out: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [KROMA, "record", profile_path, "--out", out, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def wait_for(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Until a file has grown to a size; the log of the database counts."""

    def grown() -> int:
        return sum(one.stat().st_size for one in (path, path.with_name(path.name + "-wal")) if one.exists())

    while grown() < size:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.02)


def test_a_timeline_with_reorgs_is_recorded_again_to_the_same_head(tmp_path: Path) -> None:
    out = tmp_path / "out.krec"
    done = kroma("record", profile(tmp_path, REORG), "--out", out)
    assert done.returncode == 0, done.stderr
    with open_recording(out) as found:
        assert found.about.made_by.startswith("kroma record, kroma 0.1.0")
        assert "pyevm" in found.about.made_by
        assert found.l2_genesis == load(REORG)["l2_genesis"]
    assert replay(out) == recorded_head(REORG)


def test_an_l1_over_http_is_recorded_with_its_blobs_to_the_same_head(tmp_path: Path) -> None:
    command: list[str | Path] = [KROMA, "serve", BLOBS, "--port", "0", "--beacon-port", "0"]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert serving.stdout is not None
        _, l1, _, beacon = serving.stdout.readline().split()
        out = tmp_path / "out.krec"
        path = profile(
            tmp_path,
            BLOBS,
            l1=f"kind = 'rpc'\nurls = ['{l1}']\npoll_interval = 0.2",
            blobs=f"kind = 'beacon'\nurl = '{beacon}'",
        )
        done = kroma("record", path, "--out", out, "--until", "3")
        assert done.returncode == 0, done.stderr
    finally:
        serving.kill()
        serving.communicate(timeout=10)
    assert replay(out) == recorded_head(BLOBS, 3)


@pytest.mark.parametrize(("option", "value"), [("--until", "6"), ("--blocks", "6")])
def test_it_ends_where_it_is_told_to(option: str, value: str, tmp_path: Path) -> None:
    out = tmp_path / "out.krec"
    done = kroma("record", profile(tmp_path), "--out", out, option, value)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: 7 L1 heads recorded\n"
    with open_recording(out) as found:
        assert found.span() == (0, 6)


def test_a_signal_ends_a_recording_that_has_no_end(tmp_path: Path) -> None:
    out = tmp_path / "out.krec"
    with recording(profile(tmp_path, follow=True), out) as process:
        wait_for(tmp_path / "out.krec.partial", 300_000, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert [path.name for path in tmp_path.glob("out*")] == ["out.krec"]
    assert replay(out)[0]


def test_what_a_killed_recording_has_kept_can_be_rescued(tmp_path: Path) -> None:
    out = tmp_path / "out.krec"
    with recording(profile(tmp_path, follow=True), out) as process:
        wait_for(tmp_path / "out.krec.partial", 300_000, process)
        process.kill()
        process.wait(10)
    assert not out.exists()
    refused = kroma("record", tmp_path / "profile.toml", "--out", out)
    assert refused.returncode == 1
    assert f"`kroma record --rescue --out {out}` makes a recording of it" in refused.stderr
    done = kroma("record", "--rescue", "--out", out)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("out*")] == ["out.krec"]
    assert replay(out)[0]


def test_a_full_disk_is_told_and_costs_what_was_not_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.krec"
    done = run_on_a_full_disk(400_000, "record", profile(tmp_path), "--out", out)
    assert done.returncode == 1
    assert "expected room and permission to write" in done.stderr
    assert "Traceback" not in done.stderr
    if not out.exists():
        assert f"{out}.partial has what was recorded: --rescue completes it" in done.stderr
        rescued = kroma("record", "--rescue", "--out", out)
        assert rescued.returncode == 0, rescued.stderr
    assert replay(out)[0]


Before = Callable[[Path], object]


@pytest.mark.parametrize(
    ("before", "arguments", "message"),
    [
        (lambda out: out.write_text("mine"), ["{profile}"], "expected a new file, got an existing one"),
        (lambda out: None, [], "name a profile, or --rescue"),
        (lambda out: None, ["--rescue"], "expected an interrupted recording, got no such file"),
        (lambda out: None, ["nowhere.toml"], "nowhere.toml"),
        (lambda out: None, ["{profile}", "--until", "1", "--blocks", "1"], "not allowed with argument"),
        (lambda out: None, ["{profile}", "--until", "-1"], "expected a number"),
    ],
    ids=["file exists", "no profile", "nothing to rescue", "no such profile", "two ends", "negative"],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_written(
    before: Before, arguments: list[str], message: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.krec"
    before(out)
    content = out.read_text() if out.exists() else None
    filled = [one.format(profile=profile(tmp_path)) for one in arguments]
    done = kroma("record", *filled, "--out", out)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert (out.read_text() if out.exists() else None) == content
    assert not (tmp_path / "out.krec.partial").exists()
