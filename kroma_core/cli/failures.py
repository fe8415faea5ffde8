"""What an operator is told of an error: which part, what was attempted, what was wrong. Never a traceback."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator

from kroma_core.errors import ConfigError, KromaError
from kroma_core.node.profile import DEBUG_VARIABLE

INTERRUPTED = 130


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors themselves, out of the groups that concurrent tasks wrap them in."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def is_interrupt(error: BaseException) -> bool:
    return any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves(error))


def is_broken_pipe(error: BaseException) -> bool:
    """Whether the reader of our output went away, and nothing else happened."""
    return all(isinstance(leaf, BrokenPipeError) for leaf in leaves(error))


def is_foreseen(error: BaseException) -> bool:
    """Whether everything that happened is raised on purpose here, or is a refusal of the operating system."""
    return all(isinstance(leaf, KromaError | OSError) for leaf in leaves(error))


def show_trace(error: BaseException) -> None:
    """Where an error came from, for whoever asked for it by the debugging variable."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)


def describe(error: BaseException) -> list[str]:
    """The message, one line a problem; the same problem of several tasks is told once."""
    lines: list[str] = []
    for leaf in leaves(error):
        lines += _lines(leaf)
    return list(dict.fromkeys(lines))


def _lines(error: BaseException) -> list[str]:
    where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()) if note.startswith("while "))
    match error:
        case ConfigError():
            return [f"{where}{problem}" for problem in error.problems]
        case KromaError():
            return [f"{where}{error}"]
        case OSError():
            path = f"{error.filename}: " if error.filename is not None else ""
            return [f"{where}{path}{error.strerror or error}"]
        case MemoryError():
            return [f"{where}out of memory"]
        case _:
            return [
                f"{where}unexpected {type(error).__name__}: {error} (a mistake in the program; "
                f"{DEBUG_VARIABLE}=1 shows where)"
            ]
