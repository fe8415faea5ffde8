"""Which chain a node follows: a built-in one, files, or what a recording carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from kroma_core.chain.builtin import builtin_names
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.l1_config import l1_config_to_json
from kroma_core.chain.load import chain_from_json, load_chain
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.codec.json_text import json_loads
from kroma_core.errors import ConfigError, DecodeError
from kroma_core.node.profile import ChainTable
from kroma_core.node.settings import suggestion
from kroma_core.recording import RecordingError, open_recording


def chain_of_table(table: ChainTable, place: str, problems: list[str], *, strict: bool = False) -> ChainConfig | None:
    """The chain that a profile's table means; None where there is a problem, which is appended.

    With `strict`, what is only odd about its files is a problem too.
    """
    named = [name for name in ("name", "rollup", "recording") if getattr(table, name) is not None]
    if len(named) != 1:
        given = " and ".join(named) if named else "none of them"
        problems.append(f"{place}: needs exactly one of name, rollup, recording; it has {given}")
        return None
    if table.recording is not None:
        if table.genesis is not None or table.l1 is not None:
            problems.append(f"{place}: a recording has its own genesis and L1 configuration: leave them out")
        return chain_of_recording(table.recording, problems, strict=strict)
    if table.name is not None and table.name not in builtin_names():
        known = ", ".join(builtin_names())
        problems.append(
            f"{place} name: no chain {table.name!r} is built in; there are {known}"
            f"{suggestion(table.name, builtin_names())}"
        )
        return None
    rollup = table.name or table.rollup
    assert rollup is not None
    return _attempt(lambda: load_chain(rollup, table.genesis, table.l1, strict=strict), problems)


@attrs.frozen(kw_only=True)
class ChainFiles:
    """What a chain is configured with, as JSON objects: rollup.json, the L1's chain config, genesis.json."""

    rollup: Mapping[str, Any]
    l1: Mapping[str, Any]
    genesis: Mapping[str, Any] | None


def files_of_table(table: ChainTable, chain: ChainConfig) -> ChainFiles:
    """The files behind a profile's table, which means `chain`; made from `chain` where there are none.

    Raises `RecordingError`, `ConfigError`.
    """
    if table.recording is not None:
        with open_recording(table.recording) as recording:
            l1 = recording.l1_chain_config
            return ChainFiles(
                rollup=recording.rollup_config,
                l1=l1_config_to_json(chain.l1) if l1 is None else l1,
                genesis=recording.l2_genesis,
            )
    return ChainFiles(
        rollup=rollup_config_to_json(chain.rollup),
        l1=l1_config_to_json(chain.l1) if table.l1 is None else _json_file(table.l1),
        genesis=None if table.genesis is None else _json_file(table.genesis),
    )


def _json_file(path: Path) -> Mapping[str, Any]:
    try:
        found = json_loads(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected a JSON object")
    return found


def chain_of_recording(path: Path, problems: list[str], *, strict: bool = False) -> ChainConfig | None:
    """The chain whose configuration a recording carries; None where there is a problem, which is appended."""

    def read() -> ChainConfig:
        with open_recording(path) as recording:
            return chain_from_json(
                recording.rollup_config,
                recording.l2_genesis,
                recording.l1_chain_config,
                source=str(path),
                strict=strict,
            )

    return _attempt(read, problems)


def _attempt(read: Callable[[], ChainConfig], problems: list[str]) -> ChainConfig | None:
    try:
        chain = read()
        problems += _not_followed(chain)
        return chain
    except ConfigError as error:
        problems += error.problems
    except RecordingError as error:
        problems.append(str(error))
    return None


def _not_followed(chain: ChainConfig) -> list[str]:
    """What of a chain's protocol no part here speaks: following it would give another chain, without a word."""
    return [
        f"chain {chain.rollup.name}: its rollup configuration has {key}, but inputs that are commitments to data "
        "elsewhere (alt-DA) cannot be read yet"
        for key in ("alt_da", "use_plasma")
        if chain.rollup.extra.get(key)
    ]
