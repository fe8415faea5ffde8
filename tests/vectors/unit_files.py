"""Reading unit-vector files, and the decorator that turns each of their cases into a test.

A unit file is `{"format", "name" | "made_by", "cases": [{"name", ...}]}`. `@unit_cases("op-units/frames")` gives the
test one run per case with arguments `case` (the JSON object) and `unit_file` (the whole file: file-wide extras).
The manifest (`manifest.toml`) names for each file the test that reads it; `test_manifest.py` holds the two together.
"""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OWN_VECTORS = Path(__file__).parent / "data"


def load(path: Path) -> Any:
    """A JSON file, plain or xz-compressed."""
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return json.loads(data)


def find(root: Path, name: str) -> Path | None:
    """The file of `folder/name` under `root`, in either form."""
    for suffix in (".json", ".json.xz"):
        path = root / f"{name}{suffix}"
        if path.exists():
            return path
    return None


@functools.lru_cache(maxsize=8)
def load_unit(root: Path, name: str) -> dict[str, Any] | None:
    path = find(root, name)
    if path is None:
        return None
    unit: dict[str, Any] = load(path)
    return unit


def vectors_root(config: pytest.Config) -> Path:
    given: Path | None = config.getoption("--vectors")
    return given if given is not None else OWN_VECTORS


def unit_cases(*names: str, slow: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Run the decorated test on every case of the named files, e.g. `op-units/frames`.

    Cases whose `file-case` fits one of the patterns `slow` run with `--all`, or where vectors are given.
    """

    def mark(function: Any) -> Any:
        function.unit_files, function.slow_cases = names, slow
        return function

    return mark


def hex_bytes(text: str) -> bytes:
    """Bytes of a 0x-prefixed hex string."""
    return bytes.fromhex(text.removeprefix("0x"))
