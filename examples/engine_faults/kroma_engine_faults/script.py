"""The script: which faults strike which calls, and how often. Read strictly, every problem at once."""

from __future__ import annotations

import enum
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from kroma_core.errors import ConfigError


class Call(enum.StrEnum):
    """The calls that faults can strike: those of every engine."""

    HEADS = "heads"
    BLOCK = "block"
    RECEIPTS = "receipts"
    BUILD = "build"
    SEAL = "seal"
    CANCEL = "cancel"
    EXECUTE = "execute"
    SET_HEADS = "set_heads"
    PROOF = "proof"
    STORAGE_ROOT = "storage_root"


class Kind(enum.StrEnum):
    """What goes wrong."""

    DELAY = "delay"
    """The call waits first."""
    ERROR = "error"
    """The call does not reach the engine: there is no answer."""
    LOST = "lost"
    """The engine does what it is asked, and the answer does not come back."""
    SYNCING = "syncing"
    """The engine says that it is syncing, and does nothing."""
    INVALID = "invalid"
    """The engine refuses the block, whatever it is like."""
    RESTART = "restart"
    """The engine forgets the blocks under construction; then the call reaches it."""


ANSWERS: Mapping[Kind, frozenset[Call]] = {
    Kind.SYNCING: frozenset({Call.BUILD, Call.EXECUTE, Call.SET_HEADS}),
    Kind.INVALID: frozenset({Call.BUILD, Call.SEAL, Call.EXECUTE}),
}
"""The calls that can be answered so. The other kinds strike any call."""


@attrs.frozen(kw_only=True)
class Rule:
    """One `[[fault]]` of a script."""

    do: Kind
    on: frozenset[Call]
    probability: float = 1.0
    after: int = 0
    """So many calls that the rule fits are left alone first, of each kind of call."""
    most: int | None = None
    """It strikes so many times in all; None: without end."""
    rest: int = 0
    """After it has struck it leaves so many calls alone, whatever they are."""
    first_block: int = 0
    """For `build`, `seal` and `execute`: the lowest block that is struck, by its number."""
    last_block: int | None = None
    seconds: float = 0.0
    """Of a delay; somewhere between this and `up_to`."""
    up_to: float = 0.0
    reason: str = "a fault by script"
    """Of an invalid block, or of an error."""


@attrs.frozen(kw_only=True)
class Script:
    """A whole script. The same seed makes the same faults, call for call."""

    seed: int = 0
    rules: tuple[Rule, ...] = ()


def read_script(path: Path | None, seed: int | None = None) -> Script:
    """The script in a file; without a file one that lets everything pass. Raises `ConfigError` with every problem."""
    if path is None:
        return Script(seed=seed or 0)
    try:
        text = path.read_text(encoding="utf-8")
        tables = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the script: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from error
    problems: list[str] = []
    script = _script(tables, problems)
    if problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))
    return script if seed is None else attrs.evolve(script, seed=seed)


def _script(tables: Any, problems: list[str]) -> Script:
    if not isinstance(tables, dict):
        problems.append("expected a table with `seed` and `fault`")
        return Script()
    problems += [f"{key}: unknown key (there are: seed, fault)" for key in sorted(set(tables) - {"seed", "fault"})]
    seed, faults = tables.get("seed", 0), tables.get("fault", [])
    if not isinstance(seed, int) or isinstance(seed, bool):
        problems.append(f"seed: expected a whole number, got {seed!r}")
        seed = 0
    if not isinstance(faults, list):
        problems.append("fault: there may be several, so write [[fault]] for each")
        faults = []
    rules = []
    for number, table in enumerate(faults, 1):
        found = list(_problems(table)) if isinstance(table, dict) else ["expected a table"]
        problems += [f"[[fault]] number {number}: {problem}" for problem in found]
        if not found:
            rules.append(_rule(table))
    return Script(seed=seed, rules=tuple(rules))


_NUMBERS: Mapping[str, Any] = {
    "probability": (int, float),
    "after": int,
    "most": int,
    "rest": int,
    "first_block": int,
    "last_block": int,
    "seconds": (int, float),
    "up_to": (int, float),
}
_KEYS = ("do", "on", *_NUMBERS, "reason")


def _problems(table: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(set(table) - set(_KEYS)):
        yield f"{key}: unknown key (there are: {', '.join(_KEYS)})"
    for key, kinds in _NUMBERS.items():
        value: Any = table.get(key, 0)
        if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            yield f"{key}: expected a number from 0 on, got {value!r}"
        elif key == "probability" and value > 1:
            yield f"probability: expected a number from 0 to 1, got {value!r}"
    if not isinstance(table.get("reason", ""), str):
        yield f"reason: expected text, got {table['reason']!r}"
    if table.get("do") not in [*Kind]:
        yield f"do: expected one of {', '.join(Kind)}, got {table.get('do')!r}"
        return
    kind = Kind(table["do"])
    able = ANSWERS.get(kind, frozenset(Call))
    given = table.get("on", sorted(able))
    if not isinstance(given, list):
        yield f"on: expected a list of calls, got {given!r}"
        return
    for name in given:
        if name not in [*able]:
            yield f"on: expected calls out of {', '.join(sorted(able))} for {kind}, got {name!r}"
    if kind is Kind.DELAY and "seconds" not in table:
        yield "seconds: missing; how long is the delay?"


def _rule(table: Mapping[str, Any]) -> Rule:
    kind = Kind(table["do"])
    values = {key: value for key, value in table.items() if key not in ("do", "on")}
    values["up_to"] = max(values.get("up_to", 0.0), values.get("seconds", 0.0))
    return Rule(do=kind, on=frozenset(map(Call, table.get("on", ANSWERS.get(kind, Call)))), **values)
