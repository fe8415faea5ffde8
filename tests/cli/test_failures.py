"""Whatever goes wrong becomes one clear message and an exit code, never a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import trio

from kroma_core.cli import main, parser
from kroma_core.cli.failures import describe, is_broken_pipe, is_foreseen, is_interrupt
from kroma_core.cli.stopping import run_until_signal
from kroma_core.errors import ConfigError, CriticalError, TemporaryError


def test_every_problem_of_a_configuration_is_a_line() -> None:
    assert describe(ConfigError("one", "two")) == ["one", "two"]


def test_a_note_names_the_part() -> None:
    error = TemporaryError("no answer")
    error.add_note("while opening engine 'fast' (acme 1.0)")
    assert describe(error) == ["while opening engine 'fast' (acme 1.0): no answer"]


def test_errors_of_several_tasks_are_told_each_once() -> None:
    group = ExceptionGroup(
        "tasks", [CriticalError("a"), ExceptionGroup("inner", [CriticalError("b"), CriticalError("a")])]
    )
    assert describe(group) == ["a", "b"]


def test_a_full_disk_is_told_with_the_file() -> None:
    assert describe(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x")) == ["/data/x: No space left on device"]


def test_a_mistake_in_the_program_says_how_to_see_more() -> None:
    [line] = describe(KeyError("x"))
    assert "unexpected KeyError" in line
    assert "KROMA_DEBUG=1" in line


def test_kinds_of_errors_are_told_apart() -> None:
    assert is_interrupt(BaseExceptionGroup("tasks", [KeyboardInterrupt(), ValueError()]))
    assert is_broken_pipe(ExceptionGroup("tasks", [BrokenPipeError()]))
    assert not is_broken_pipe(ExceptionGroup("tasks", [BrokenPipeError(), ValueError()]))
    assert is_foreseen(ExceptionGroup("tasks", [CriticalError("x"), OSError("y")]))
    assert not is_foreseen(ExceptionGroup("tasks", [CriticalError("x"), ValueError("y")]))


class Parser:
    """A command line whose only command raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def parse_args(self, argv: Any) -> Any:
        class Arguments:
            @staticmethod
            def run(arguments: Any) -> int:
                raise self.error

        return Arguments()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CriticalError("halt"), 1, "kroma: halt\n"),
        (ConfigError("a", "b"), 1, "kroma: a\nkroma: b\n"),
        (KeyboardInterrupt(), 130, "kroma: interrupted\n"),
        (BaseExceptionGroup("tasks", [KeyboardInterrupt()]), 130, "kroma: interrupted\n"),
    ],
)
def test_the_command_line_ends_with_a_message_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    monkeypatch.delenv("KROMA_DEBUG", raising=False)
    monkeypatch.setattr("kroma_core.cli.parser", lambda command: Parser(error))
    assert main([]) == code
    assert capsys.readouterr().err == message


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KROMA_DEBUG", "1")
    monkeypatch.setattr("kroma_core.cli.parser", lambda command: Parser(CriticalError("halt")))
    assert main([]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_every_command_is_listed_and_stands_alone() -> None:
    listed = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    assert "verify-proof" in listed
    for name in listed:
        alone = next(action.choices for action in parser(name)._actions if isinstance(action.choices, dict))
        assert list(alone) == [name]
        assert alone[name].format_help() == listed[name].format_help()


def test_a_command_does_not_wait_for_what_others_import() -> None:
    script = "import sys; from kroma_core.cli import main; main(['version']); print('trio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse\n")


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["no-such-command"])
    assert caught.value.code == 2
    assert "usage: kroma" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_at_a_checkpoint_and_lets_parts_close(number: signal.Signals) -> None:
    closed: list[str] = []

    async def run() -> None:
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            closed.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run_until_signal(run)
    assert closed == ["closed"]


def test_an_error_comes_out_as_it_is_and_not_in_a_group() -> None:
    async def run() -> None:
        raise CriticalError("halt")

    with pytest.raises(CriticalError, match="halt"):
        run_until_signal(run)


def test_a_result_comes_out() -> None:
    async def run() -> int:
        return 5

    assert run_until_signal(run) == 5


def test_a_closed_pipe_is_quiet() -> None:
    import subprocess

    script = f"{sys.executable} -c 'import sys; from kroma_core.cli import main; sys.exit(main([\"plugins\"]))' | true"
    done = subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
