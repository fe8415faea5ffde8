"""An account of a plan for an operator's eyes: grouped, what was said before what was left to defaults."""

from __future__ import annotations

import itertools
import json
import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from kroma_core.node.origins import OriginKind
from kroma_core.node.plan_account import (
    CapabilityAccount,
    PartAccount,
    PlanAccount,
    RequirementAccount,
    SettingAccount,
    TableAccount,
)

_LABEL: Final = 11
_VALUE: Final = 74
"""Columns up to which a value goes before its origin."""
_WIDTH: Final = 112
_KEPT: Final = "\N{NO-BREAK SPACE}"
"""A space at which no line is broken."""


def text_of(account: PlanAccount) -> str:
    """The account as text."""
    rollup = account.plan.chain.rollup
    name = f"{rollup.name or 'unnamed'} (id {rollup.l2_chain_id}, family {rollup.family})"
    lines = [*_block("chain", _headed(name, account.chain.header, account.chain.line), account.chain.settings)]
    started = [textwrap.wrap(line, _WIDTH - _LABEL, subsequent_indent="  ") for line in account.start.text.splitlines()]
    lines += _listing("start", itertools.chain(*started))
    lines += _listing("data in", [str(account.plan.data_dir)])
    lines.append("")
    for part in account.parts:
        lines += _part(part)
    lines.append("")
    lines += _listing("requires", [_requirement(one) for one in account.requirements])
    lines += _listing("offers", _offered(account.capabilities))
    lines.append("")
    lines += _listing("processes", [" · ".join(account.processes)])
    for table in account.servers:
        lines += _block("serves", _headed(_listens(table), table.header, table.line), table.settings)
    lines += _listing("ports", [f"{used.port}: {used}" for used in account.ports if used.owner[0] != "["])
    for table in account.tables:
        lines += _block(table.header.strip("[]"), _headed("", table.header, table.line), table.settings)
    return "\n".join(lines)


def _part(account: PartAccount) -> list[str]:
    part = account.part
    made = f"{part.installed.offer.kind}, of {part.installed.source}"
    if account.place is not None:
        made += f", {account.place}"
    by = account.because or (str(account.kind) if account.kind.variable is not None else "")
    first = _headed(made, by, account.line)
    return _block(part.role.value, first, account.settings)


def _headed(text: str, said: str, line: int | None) -> str:
    """The first line of a group, with where the profile begins it."""
    where = f"line {line}" if line is not None else ""
    if said.startswith("["):
        where = f"{said}, {where}" if line is not None else "not in the profile"
    elif said:
        where = ", ".join(filter(None, (where, said)))
    return f"{text:<{_VALUE - _LABEL}} {where}".rstrip() if text or where else ""


def _block(label: str, first: str, settings: Sequence[SettingAccount]) -> list[str]:
    said = [one for one in settings if one.origin.kind is not OriginKind.DEFAULT]
    left = [
        f"{one.name} = {_value(one.value)}".replace(" ", _KEPT)
        for one in settings
        if one.origin.kind is OriginKind.DEFAULT
    ]
    lines = [f"{label:<{_LABEL}}{first}".rstrip()]
    for one in said:
        text = f"  {one.name} = {_value(one.value)}"
        lines.append(f"{'':<{_LABEL}}{text:<{_VALUE - _LABEL}} {one.origin}")
    if left:
        lines += _wrapped("  default: ", ", ".join(left))
    return lines


def _listing(label: str, lines: Iterable[str]) -> list[str]:
    """Lines under one label; nothing where there is none."""
    return [f"{label if place == 0 else '':<{_LABEL}}{line}" for place, line in enumerate(lines)]


def _wrapped(begin: str, text: str) -> list[str]:
    indent = " " * _LABEL
    wrapped = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent + begin,
        subsequent_indent=indent + " " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT, " ") for line in wrapped]


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case str():
            return os.path.normpath(value) if "/../" in value and "://" not in value else value
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def _listens(table: TableAccount) -> str:
    values = {one.name: one.value for one in table.settings}
    ports = [str(value) for name, value in values.items() if name == "port" or name.endswith("_port")]
    return f"{values['host']}:" + " and ".join(ports)


def _requirement(one: RequirementAccount) -> str:
    return f"{one.part} requires {one.role}: gets {', '.join(one.given) or 'nothing'}"


def _offered(capabilities: Iterable[CapabilityAccount]) -> Iterator[str]:
    """What each part can do, a line a part; who needs or uses it, a line each."""
    for part, found in itertools.groupby(capabilities, lambda one: one.part):
        listed = tuple(found)
        yield f"{part}: {', '.join(one.capability for one in listed)}"
        for one in listed:
            yield from (f"  {one.capability} is needed by {who}" for who in one.needed_by)
            yield from (f"  {one.capability} is used by {who}" for who in one.used_by)


def json_of(account: PlanAccount) -> dict[str, Any]:
    """The account as JSON."""
    plan, start = account.plan, account.start
    rollup = plan.chain.rollup
    return {
        "profile": str(plan.profile.path) if plan.profile.path is not None else None,
        "chain": {
            "name": rollup.name,
            "l2_chain_id": rollup.l2_chain_id,
            "l1_chain_id": rollup.l1_chain_id,
            "family": rollup.family.value,
            **_table_json(account.chain),
        },
        "start": {
            "from": start.kind.value,
            "block": None if start.block is None else _block_json(start.block),
            "stored": None
            if start.stored is None or start.stored.safe is None
            else {"safe": _block_json(start.stored.safe), "l1": _block_json(start.stored.l1)},
            "checkpoint": None if start.checkpoint is None else "0x" + start.checkpoint.hex(),
            "engine_syncs_first": start.engine_first,
        },
        "data_dir": str(plan.data_dir),
        "parts": [_part_json(one) for one in account.parts],
        "requires": [
            {"part": one.part, "role": one.role.value, "given": list(one.given)} for one in account.requirements
        ],
        "capabilities": [
            {
                "part": one.part,
                "capability": one.capability.value,
                "needed_by": list(one.needed_by),
                "used_by": list(one.used_by),
            }
            for one in account.capabilities
        ],
        "processes": list(account.processes),
        "servers": [_table_json(table) for table in account.servers],
        "ports": [{"port": used.port, "setting": used.setting, "of": used.owner} for used in account.ports],
        "tables": [_table_json(table) for table in account.tables],
    }


def _part_json(one: PartAccount) -> dict[str, Any]:
    part = one.part
    return {
        "role": part.role.value,
        "kind": part.installed.offer.kind,
        "origin": one.kind.kind.value,
        "variable": one.kind.variable,
        "distribution": part.installed.distribution,
        "version": part.installed.version,
        "api": part.installed.offer.api,
        "line": one.line,
        "because": one.because,
        "place": one.place,
        "data_dir": str(part.data_dir),
        "settings": _settings_json(one.settings),
    }


def _table_json(table: TableAccount) -> dict[str, Any]:
    return {"table": table.header, "line": table.line, "settings": _settings_json(table.settings)}


def _settings_json(settings: Iterable[SettingAccount]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "value": one.value,
            "origin": one.origin.kind.value,
            "line": one.origin.line,
            "variable": one.origin.variable,
            "secret": one.origin.secret,
        }
        for one in settings
    ]


def _block_json(block: Any) -> dict[str, Any]:
    return {"number": block.number, "hash": "0x" + block.hash.hex()}
