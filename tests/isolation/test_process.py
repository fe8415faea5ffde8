"""A part in a process of its own: values, errors, events, cancellation, death, and closing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.errors import ConfigError, CriticalError, NotFound, ResetError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.jsonrpc.errors import Failure, NoAnswer, RpcError
from kroma_core.node.isolation import kept, process
from kroma_core.node.isolation.kept import FRUITLESS_STARTS, KeptProcess
from kroma_core.node.isolation.process import ChildProcess, started
from kroma_core.node.retry import RetryPolicy
from tests.architecture.sources import ROOT
from tests.isolation.hosted import UNPACK, OddHost

QUICK = RetryPolicy(first=0.001, longest=0.01)


def run(
    folder: Path, body: Callable[[ChildProcess], Awaitable[None]], events: list[Event] | None = None, **settings: Any
) -> list[str]:
    """Run `body` with a process that hosts the odd part; what that part has noted."""
    host = OddHost(log=folder / "log", **settings)
    emit = (events if events is not None else []).append

    async def main() -> None:
        with trio.fail_after(60):
            async with started(host, "odd part", emit) as child:
                await body(child)

    trio.run(main)
    return notes(folder)


def notes(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    with trio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110  # another process tells of itself through files alone
            await trio.sleep(0.01)


def test_values_cross_both_ways_and_events_one(tmp_path: Path) -> None:
    events: list[Event] = []

    async def body(child: ChildProcess) -> None:
        value = {"number": 2**300, "bytes": b"\0" * 1_000_000, "nested": (1, [None, "text"])}
        assert await child.call("echo", value) == value
        assert await child.call("process_id") == child.pid != os.getpid()
        await child.call("tell", "something")

    assert run(tmp_path, body, events) == ["opened", "closed"]
    assert [event.what for event in events if isinstance(event, Retrying)] == ["something"]


ERRORS = [
    NotFound("no such block"),
    ConfigError("one problem", "another"),
    TemporaryError("later"),
    ResetError("again"),
    CriticalError("never"),
    RpcError(-32000, "server error", {"more": 1}),
    NoAnswer(server="http://x:1", method="m", failure=Failure.TIMEOUT, reason="slow", status=503),
]


def test_errors_cross_with_their_type_text_and_notes(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        for error in ERRORS:
            with pytest.raises(type(error)) as caught:
                await child.call("fail", error)
            assert type(caught.value) is type(error)
            assert str(caught.value) == str(error)
            assert caught.value.__notes__ == ["a note"]

    run(tmp_path, body)


def test_an_error_of_a_plugins_own_kind_crosses_as_its_severity(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        with pytest.raises(TemporaryError, match="out of the ordinary") as caught:
            await child.call("fail_strangely")
        assert type(caught.value) is TemporaryError

    run(tmp_path, body)


def test_a_mistake_in_the_program_ends_the_process_and_is_critical(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        for _ in range(2):
            with pytest.raises(CriticalError, match="odd part: its process ended with code 1"):
                await child.call("stumble")
        assert not alive(child.pid)

    run(tmp_path, body)


def test_a_mistake_that_a_strangers_question_shows_is_that_questions_alone(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        with pytest.raises(RpcError, match="internal error in ask_and_stumble: KeyError"):
            await child.call("ask_and_stumble", ordered=False)
        with pytest.raises(RpcError, match="internal error in ask_for_too_much: RecursionError"):
            await child.call("ask_for_too_much", ordered=False)
        assert await child.call("echo", 1) == 1

    run(tmp_path, body)


def test_a_process_that_hangs_up_and_stays_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.2)

    async def body(child: ChildProcess) -> None:
        with trio.fail_after(10), pytest.raises(TemporaryError, match="SIGKILL"):
            await child.call("linger")
        assert not alive(child.pid)

    run(tmp_path, body)


def test_a_cancelled_call_is_cancelled_there(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        with trio.move_on_after(0.2):
            await child.call("slow", 30)
        await child.call("quick")

    assert run(tmp_path, body) == ["opened", "slow begins", "slow is cancelled", "quick", "closed"]


def test_the_next_call_waits_until_a_cancelled_one_is_settled(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        with trio.move_on_after(0.2):
            await child.call("block_loop", 1)
        await child.call("quick")

    assert run(tmp_path, body) == ["opened", "blocked", "free", "quick", "closed"]


def test_whoever_waits_is_told_when_the_process_is_killed(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(TemporaryError, match=r"odd part: its process was killed \(SIGKILL\)"):
                    await child.call("slow", 60)

            nursery.start_soon(wait)
            await until(lambda: notes(tmp_path) == ["opened", "slow begins"])
            os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(TemporaryError, match="killed"):
            await child.call("echo", 1)

    assert run(tmp_path, body) == ["opened", "slow begins"]


def test_what_opening_raises_is_raised(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        raise AssertionError("it did open")

    with pytest.raises(ConfigError, match="wrong"):
        run(tmp_path, body, opening=ConfigError("wrong"))


def test_what_closing_raises_is_raised(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        pass

    with pytest.raises(CriticalError, match="the disk is full"):
        run(tmp_path, body, closing=CriticalError("the disk is full"))


def test_cancellation_closes_the_part_in_order(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        with trio.move_on_after(0.1):
            await trio.sleep_forever()

    async def main() -> None:
        with trio.move_on_after(1.5):
            async with started(OddHost(log=tmp_path / "log"), "odd part", lambda event: None):
                await trio.sleep_forever()

    trio.run(main)
    assert notes(tmp_path) == ["opened", "closed"]


def test_a_part_that_takes_too_long_to_close_is_killed(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        await child.call("quick")

    began = time.monotonic()
    assert run(tmp_path, body, slow_closing=60) == ["opened", "quick"]
    assert time.monotonic() - began < 8


def test_signals_that_end_the_node_do_not_end_the_child_before_it_is_told(tmp_path: Path) -> None:
    async def body(child: ChildProcess) -> None:
        for stop in (signal.SIGINT, signal.SIGTERM):
            os.kill(child.pid, stop)
        assert await child.call("echo", 1) == 1

    assert run(tmp_path, body) == ["opened", "closed"]


PARENT = """
import sys, trio
from pathlib import Path
from kroma_core.node.isolation.process import started
from tests.isolation.hosted import UNPACK, OddHost

async def main():
    async with started(OddHost(log=Path(sys.argv[1])), "odd part", lambda event: None) as child:
        print(child.pid, flush=True)
        await child.call(sys.argv[2], 600)

trio.run(main)
"""


@pytest.mark.parametrize("method", ["slow", "block_loop"])
def test_a_child_does_not_outlive_a_killed_node(method: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), method]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        began = {"slow": "slow begins", "block_loop": "blocked"}[method]
        trio.run(until, lambda: began in notes(tmp_path))
        parent.kill()
    trio.run(until, lambda: not alive(pid))


@attrs.define
class Kept:
    """A kept process and what it told."""

    process: KeptProcess
    events: list[Event]

    async def until_killed(self) -> None:
        pid = self.process.pid
        assert pid is not None
        with pytest.raises(TemporaryError):
            await self.process.call("kill")
        await until(lambda: not alive(pid))

    async def killed_for_ever(self) -> None:
        while True:
            try:
                await self.process.call("kill")
            except TemporaryError:
                await trio.sleep(0.01)

    async def answered(self) -> int:
        """The process id, once there is a process again."""
        while True:
            try:
                found: int = await self.process.call("process_id")
            except TemporaryError:
                await trio.sleep(0.01)
            else:
                return found


def run_kept(folder: Path, body: Callable[[Kept], Awaitable[None]], **settings: Any) -> list[str]:
    events: list[Event] = []
    process = KeptProcess(OddHost(log=folder / "log", **settings), "odd part", events.append, QUICK)

    async def main() -> None:
        with trio.fail_after(120):
            async with process.running():
                await body(Kept(process, events))

    trio.run(main)
    return notes(folder)


def test_a_process_that_was_killed_is_started_again_and_observers_are_told(tmp_path: Path) -> None:
    async def body(kept: Kept) -> None:
        first = await kept.answered()
        await kept.until_killed()
        assert await kept.answered() != first
        [told] = kept.events
        assert isinstance(told, Retrying)
        assert (told.part, told.what, told.attempt) == ("odd part", "start its process again", 1)
        assert "SIGKILL" in told.error

    assert run_kept(tmp_path, body) == ["opened", "opened", "closed"]


def test_what_was_set_for_good_is_set_again_in_a_new_process(tmp_path: Path) -> None:
    async def body(kept: Kept) -> None:
        await kept.process.call_lasting("set", 1)
        await kept.process.call_lasting("set", 2)
        await kept.until_killed()
        await kept.answered()

    assert run_kept(tmp_path, body) == ["opened", "set to 1", "set to 2", "opened", "set to 2", "closed"]


def test_a_process_that_cannot_be_opened_again_is_critical(tmp_path: Path) -> None:
    async def body(kept: Kept) -> None:
        await kept.until_killed()
        with pytest.raises(CriticalError, match="only once"):
            await kept.answered()

    run_kept(tmp_path, body, open_once=True)


def test_a_process_that_answers_between_its_deaths_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "FRUITLESS_STARTS", 1)

    async def body(kept: Kept) -> None:
        for _ in range(3):
            await kept.answered()
            await kept.until_killed()
        await kept.answered()

    assert run_kept(tmp_path, body) == [*["opened"] * 4, "closed"]


def test_a_process_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    async def body(kept: Kept) -> None:
        with pytest.raises(CriticalError, match="started again in vain"):
            await kept.killed_for_ever()
        assert len(kept.events) == FRUITLESS_STARTS

    assert run_kept(tmp_path, body) == ["opened"] * (FRUITLESS_STARTS + 1)


def test_a_kept_process_that_cannot_be_opened_at_all_raises_at_once(tmp_path: Path) -> None:
    async def body(kept: Kept) -> None:
        raise AssertionError("it did open")

    with pytest.raises(ConfigError, match="wrong"):
        run_kept(tmp_path, body, opening=ConfigError("wrong"))


def test_other_calls_are_answered_while_a_lengthy_answer_is_packed_and_unpacked(tmp_path: Path) -> None:
    whole: list[bool] = []

    async def body(child: ChildProcess) -> None:
        async def ask() -> None:
            whole.append((await child.call("heavy", ordered=False)).whole)

        UNPACK.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await child.call("echo", 1)
            await child.call("allow")
            for _ in range(100):
                await child.call("echo", 2)
            UNPACK.set()
        assert await child.call("echo", 3) == 3

    run(tmp_path, body)
    assert whole == [True]
