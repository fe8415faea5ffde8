"""Recordings to run commands on, and copies of them that are damaged in one place."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.vectors.unit_files import OWN_VECTORS, load

CHAINS = OWN_VECTORS / "op-chains"
BEDROCK = CHAINS / "plain-bedrock.json.xz"
BLOBS = CHAINS / "blobs-ecotone.json.xz"
SHORT = CHAINS / "timeouts-canyon.json.xz"
REORG = CHAINS / "reorg-regolith.json.xz"
KROMA_ZK = OWN_VECTORS / "kroma-chains" / "canyon-zk.json.xz"
KROMA_ZK_REORG = OWN_VECTORS / "kroma-chains" / "reorg-zk.json.xz"

Change = Callable[[Any], None]


@functools.lru_cache(maxsize=4)
def _content(path: Path) -> Any:
    return load(path)


def altered(folder: Path, source: Path, change: Change) -> Path:
    """A copy of a recording, changed by `change`, as plain JSON."""
    content = copy.deepcopy(_content(source))
    change(content)
    path = folder / "altered.json"
    path.write_text(json.dumps(content))
    return path


def flipped(hexadecimal: str, byte: int = -1) -> str:
    """The same hex data with one bit of one byte flipped."""
    data = bytearray.fromhex(hexadecimal.removeprefix("0x"))
    data[byte] ^= 1
    return "0x" + data.hex()
