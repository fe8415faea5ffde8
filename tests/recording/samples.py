"""Recordings for the tests of this folder: a chain vector of the project's copy, and ways to damage it."""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.vectors.unit_files import OWN_VECTORS

VECTORS = OWN_VECTORS / "op-chains"
PLAIN = VECTORS / "plain-jovian.json.xz"
BLOBS = VECTORS / "blobs-jovian.json.xz"
REORG = VECTORS / "reorg-jovian.json.xz"
BEFORE_CANYON = VECTORS / "plain-regolith.json.xz"
KROMA = OWN_VECTORS / "kroma-chains" / "regolith-zk.json.xz"
ALL_FORMS = (PLAIN, BLOBS, REORG, BEFORE_CANYON, KROMA)


@functools.cache
def _text(source: Path) -> bytes:
    return lzma.decompress(source.read_bytes())


def vector(source: Path = PLAIN) -> dict[str, Any]:
    """The JSON object of a chain vector, free to be changed."""
    found: dict[str, Any] = json.loads(_text(source))
    return found


def written(folder: Path, content: dict[str, Any]) -> Path:
    """The object as a plain JSON file."""
    path = folder / "changed.json"
    path.write_text(json.dumps(content))
    return path


def changed(folder: Path, change: Callable[[dict[str, Any]], None], source: Path = PLAIN) -> Path:
    """A chain vector with one change."""
    content = vector(source)
    change(content)
    return written(folder, content)


def flipped(text: str, at: int = -1) -> str:
    """A hex string with one digit changed."""
    at %= len(text)
    return text[:at] + format(int(text[at], 16) ^ 1, "x") + text[at + 1 :]
