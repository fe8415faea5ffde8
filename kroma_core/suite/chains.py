"""A suite on disk: the manifest, and the two files of each chain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from kroma_core.codec.json_text import json_loads
from kroma_core.errors import ConfigError, DecodeError
from kroma_core.recording import Expected, ExpectedBlock, RecordingError, SafeAfter
from kroma_core.recording.expected_json import expected_block, safe_after
from kroma_core.recording.json_fields import Fields
from kroma_core.types import BlockId

FORMAT = "derivation-suite/1"
EXPECTED_FORMAT = "derivation-expected/1"
MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
"""A chain's name is also that of a folder."""


@attrs.frozen(kw_only=True)
class SuiteChain:
    """One chain: what a client gets (`l1`), and what it must come to (`expected`)."""

    name: str
    summary: str
    family: str
    forks: tuple[str, ...]
    l1: Path
    expected: Path
    digests: Mapping[Path, str]
    steps: int
    l1_head: BlockId
    safe_head: BlockId

    def check(self) -> None:
        """Raises `ConfigError` where a file is not the one of the manifest."""
        for path, expected in self.digests.items():
            found = _digest(path)
            if found != expected:
                raise ConfigError(f"{path}: expected SHA-256 {expected} (manifest), got {found}")

    def inputs(self) -> dict[str, Any]:
        """The JSON of `l1`. Raises `ConfigError`."""
        return _json_object(self.l1)

    def expected_chain(self) -> ExpectedChain:
        """Raises `ConfigError`."""
        content = _json_object(self.expected)
        try:
            blocks = [
                expected_block(Fields.of(item, file=self.expected, part=f"blocks[{index}]"))
                for index, item in enumerate(content["blocks"])
            ]
            safe = [
                safe_after(Fields.of(item, file=self.expected, part=f"safe_after[{index}]"))
                for index, item in enumerate(content["safe_after"])
            ]
        except (KeyError, RecordingError) as error:
            raise ConfigError(f"{self.expected}: {error}") from error
        return ExpectedChain(blocks=tuple(blocks), safe_after=tuple(safe))


@attrs.frozen(kw_only=True)
class ExpectedChain:
    """What the reference client made of a chain."""

    blocks: tuple[ExpectedBlock, ...]
    safe_after: tuple[SafeAfter, ...]

    @classmethod
    def of(cls, expected: Expected, steps: int) -> ExpectedChain:
        found = (expected.safe_after(step) for step in range(steps))
        return cls(blocks=tuple(expected.blocks()), safe_after=tuple(one for one in found if one is not None))


def read_suite(folder: Path) -> tuple[SuiteChain, ...]:
    """The chains of a suite. Raises `ConfigError`."""
    path = folder / MANIFEST
    manifest = _json_object(path)
    if manifest.get("format") != FORMAT:
        raise ConfigError(f"{path}: expected format {FORMAT!r}, got {manifest.get('format')!r}")
    try:
        return tuple(_chain(folder, entry) for entry in manifest["chains"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a manifest of {FORMAT}: {error!r}") from error


def _chain(folder: Path, entry: Mapping[str, Any]) -> SuiteChain:
    if not NAME.fullmatch(entry["name"]):
        raise ValueError(f"a chain called {entry['name']!r}")
    files = {name: folder / name / Path(entry[name]["file"]).name for name in ("l1", "expected")}
    return SuiteChain(
        name=entry["name"],
        summary=entry["summary"],
        family=entry["family"],
        forks=tuple(fork["name"] for fork in entry["forks"]),
        l1=files["l1"],
        expected=files["expected"],
        digests={path: entry[name]["sha256"] for name, path in files.items()},
        steps=entry["steps"],
        l1_head=_block_id(entry["l1_head"]),
        safe_head=_block_id(entry["safe_head"]),
    )


def _block_id(value: Mapping[str, Any]) -> BlockId:
    return BlockId(bytes.fromhex(value["hash"].removeprefix("0x")), value["number"])


def _json_object(path: Path) -> dict[str, Any]:
    try:
        found = json_loads(path.read_bytes())
    except (OSError, DecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: {reason}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected a JSON object")
    return found


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def chosen(chains: Sequence[SuiteChain], names: Sequence[str]) -> tuple[SuiteChain, ...]:
    """The chains whose name matches one of the patterns; all without patterns. Raises `ConfigError` for none."""
    found = tuple(chain for chain in chains if not names or any(Path(chain.name).match(name) for name in names))
    if not found:
        raise ConfigError(f"no chain of the suite is called {' or '.join(names) or 'anything'}")
    return found
