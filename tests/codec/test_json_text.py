"""JSON that is nested too deep is refused before a parser recurses into it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kroma_core.codec.json_text import DEEPEST, expect_shallow, json_loads
from kroma_core.errors import DecodeError


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '["]]",' * (DEEPEST + 1), '["\\"",' * (DEEPEST + 1)]
)
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="nested deeper than 200 levels"):
        json_loads(text)


@pytest.mark.parametrize("text", ["[" * DEEPEST + "]" * DEEPEST, '"[[["', "[[],[],[]]", '{"[": "\\\\", "x": []}'])
def test_what_is_not_nested_too_deep_passes(text: str) -> None:
    expect_shallow(text)
    assert json_loads(text) is not None


def test_many_shallow_lists_pass() -> None:
    expect_shallow("[" + "[],[{}]," * 1000 + "1]")


@pytest.mark.parametrize("text", [b"\xff", b"", b"{", '{"a" 1}', "nonsense"])
def test_what_is_no_json_is_a_decode_error(text: bytes | str) -> None:
    with pytest.raises(DecodeError):
        json_loads(text)


def test_a_raised_recursion_limit_ends_nothing() -> None:
    script = (
        "import sys; sys.setrecursionlimit(1_000_000); from kroma_core.codec.json_text import json_loads\n"
        "from kroma_core.errors import DecodeError\n"
        "try: json_loads('[' * 10_000_000)\nexcept DecodeError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "refused\n"
