"""JSON from outside, before a parser sees it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from kroma_core.errors import DecodeError

DEEPEST: Final = 200
"""Levels of lists and objects that a file may have; those that are read have about ten."""

_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


def expect_shallow(text: str) -> None:
    """Refuse what is nested deeper than `DEEPEST`. Raises `DecodeError`.

    The standard parser recurses in C, held up by nothing but the interpreter's recursion limit. A library that raises
    that limit (py-evm does) leaves the C stack to overflow, which ends the process.
    """
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token[0][0]
        if first in "[{":
            depth += 1
            if depth > DEEPEST:
                raise DecodeError(f"nested deeper than {DEEPEST} levels (at character {token.start()})")
        elif first in "]}":
            depth -= 1


def json_loads(text: str | bytes) -> Any:
    """The JSON value that a text is. Raises `DecodeError`."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        expect_shallow(decoded)
        return json.loads(decoded)
    except ValueError as error:
        raise DecodeError(str(error)) from error
