"""Running a suite on a part with a planted fault, and naming the tests that turn red."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def red_tests(suite: type, folder: Path) -> set[str]:
    """Names of the suite's tests that fail; those with parameters count once."""
    found = set()
    for turn, (name, test, arguments) in enumerate(_tests(suite)):
        own = folder / str(turn)
        own.mkdir()
        if "tmp_path" in inspect.signature(test).parameters:
            arguments["tmp_path"] = own
        try:
            getattr(suite(), name)(**arguments)
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception, BaseExceptionGroup):
            found.add(name)
    return found


def _tests(suite: type) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for name, test in inspect.getmembers(suite, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        for values in itertools.product(*(mark.args[1] for mark in marks)):
            yield name, test, {mark.args[0]: value for mark, value in zip(marks, values, strict=True)}
