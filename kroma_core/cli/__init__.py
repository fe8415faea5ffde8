"""The command `kroma`: one module a subcommand, each with `add(subparsers)` and `run(arguments) -> exit code`.

Exit codes: 0 all is well, 1 something differs or failed (one message on stderr), 2 the command line is wrong,
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from kroma_core.cli import version
from kroma_core.cli.failures import INTERRUPTED, describe, is_broken_pipe, is_interrupt, show_trace
from kroma_core.cli.log_lines import LogLines
from kroma_core.node.profile import DEBUG_VARIABLE, LogFormat, LogLevel

__all__ = ["main", "parser"]

_COMMANDS: Final = (
    "run",
    "check",
    "replay",
    "derive",
    "decode",
    "explain",
    "divergence",
    "serve",
    "record",
    "recordings",
    "prove",
    "verify-proof",
    "plugins",
    "plugin",
    "version",
)
"""In the order in which they are listed. Only what a command needs is imported: to import all takes longer than many of
them run.
"""

_EPILOG = f"""\
exit codes: 0 all is well; 1 something differs or failed, told in one message; 2 wrong usage; 130 interrupted.
{DEBUG_VARIABLE}=1 in the environment shows where an error came from.
"""


def parser(command: str = "") -> argparse.ArgumentParser:
    """The whole command line; that of one command, where one is named."""
    top = argparse.ArgumentParser(
        prog="kroma",
        description="A modular rollup node for Kroma and OP Stack chains.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=version.text())
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in (command,) if command in _COMMANDS else _COMMANDS:
        import_module(f"{__name__}.{name.replace('-', '_')}").add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Whatever goes wrong becomes one message and an exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(next(iter(words), "")).parse_args(words)
    try:
        code: int = arguments.run(arguments)
        if sys.stdout is not None:  # a closed one is
            sys.stdout.flush()
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        return _failed(error, _lines(arguments))
    except Exception as error:  # border: cli
        return _failed(error, _lines(arguments))
    return code


def _lines(arguments: argparse.Namespace) -> LogLines:
    """How the command writes to stderr: those that have a log, in its format."""
    return LogLines(format=getattr(arguments, "log_format", None) or LogFormat.TEXT)


def _failed(error: BaseException, lines: LogLines) -> int:
    if is_broken_pipe(error):
        _forget_stdout()
        return 1
    if is_interrupt(error):
        lines.write(LogLevel.INFO, "interrupted", {}, "kroma: interrupted")
        return INTERRUPTED
    show_trace(error)
    for line in describe(error):
        lines.write(LogLevel.ERROR, "failed", {"error": line}, f"kroma: {line}")
    return 1


def _forget_stdout() -> None:
    """Keep the interpreter from writing to the closed pipe once more when it ends."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
