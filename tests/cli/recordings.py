"""Recordings to run commands on, and copies of them that are damaged in one place."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kroma_core.cli import main
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


def kroma(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command in this process, where nothing has to be imported again: its exit code, and what it wrote."""
    words = [str(one) for one in arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(words)
        except SystemExit as refused:  # of the command line
            code = int(refused.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


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
