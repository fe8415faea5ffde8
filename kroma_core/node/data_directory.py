"""The folder in which a node and its parts keep what they store: whose chain it is, and that one node uses it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kroma_core.chain.config import ChainConfig
from kroma_core.errors import ConfigError, CriticalError

SCHEMA = 1
"""Raised when what the folder holds changes its form; an older folder is then migrated or refused."""

_IDENTITY = "kroma.json"
_LOCK = "lock"


@contextmanager
def claimed(folder: Path, chain: ChainConfig) -> Iterator[None]:
    """Make the folder this chain's, for this process alone. Raises `ConfigError` where it is another's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(f"data directory {folder}: expected a folder, got a file") from None
    with open(folder / _LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"data directory {folder}: another node is using it") from None
        _check_identity(folder, chain)
        yield


def expect_own(folder: Path, chain: ChainConfig) -> None:
    """Raise `ConfigError` where the folder is another chain's; one that nobody has claimed passes, and stays so."""
    mine = _identity_of(chain)
    path = folder / _IDENTITY
    if not path.exists():
        return
    try:
        stored = json.loads(path.read_text())
        schema, theirs = int(stored["schema"]), {key: stored[key] for key in mine}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"data directory {folder}: {_IDENTITY} is damaged: {type(error).__name__}: {error}"
        ) from error
    if schema != SCHEMA:
        raise ConfigError(f"data directory {folder}: it has schema {schema}, this node reads schema {SCHEMA}")
    if (theirs["l2_chain_id"], theirs["l2_genesis"]) != (mine["l2_chain_id"], mine["l2_genesis"]):
        raise ConfigError(
            f"data directory {folder}: it belongs to chain {_named(theirs)}, this profile is for {_named(mine)}"
        )


def _check_identity(folder: Path, chain: ChainConfig) -> None:
    path = folder / _IDENTITY
    if path.exists():
        expect_own(folder, chain)
    else:
        _write(path, json.dumps({"schema": SCHEMA, **_identity_of(chain)}))


def _identity_of(chain: ChainConfig) -> dict[str, object]:
    rollup = chain.rollup
    return {
        "chain": rollup.name,
        "l2_chain_id": rollup.l2_chain_id,
        "l2_genesis": "0x" + rollup.genesis.l2.hash.hex(),
    }


def _write(path: Path, text: str) -> None:
    """The file as a whole or not at all. Raises `CriticalError` that names it, as on a full disk."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with open(fresh, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise CriticalError(f"write {path}: {error.strerror or error}") from error


def _named(identity: dict[str, object]) -> str:
    return f"{identity['chain']} (id {identity['l2_chain_id']}, genesis {identity['l2_genesis']})"
