"""Ports that a node would listen on, asked for by its servers and by the settings of its parts."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from kroma_core.api.settings import Port
from kroma_core.node.profile import ServerTables


@attrs.frozen
class UsedPort:
    """A port, and who asks for it: a setting of a server's table or of a part. 0 takes any free one."""

    port: int
    setting: str
    owner: str

    def __str__(self) -> str:
        return f"{self.setting} of {self.owner}"


def used_ports(parts: Iterable[tuple[str, Any]], servers: ServerTables) -> tuple[UsedPort, ...]:
    """Every port that the servers and the parts (name, settings) would listen on."""
    tables = [(f"[{field.name}]", getattr(servers, field.name)) for field in attrs.fields(ServerTables)]
    return tuple(
        UsedPort(port, name, owner)
        for owner, settings in (*tables, *parts)
        if settings is not None
        for name, port in _ports(settings)
    )


def clashing_ports(parts: Iterable[tuple[str, Any]], servers: ServerTables) -> Iterator[str]:
    """A problem for each port that more than one of them would listen on."""
    users: dict[int, list[str]] = {}
    for used in used_ports(parts, servers):
        users.setdefault(used.port, []).append(str(used))
    for port, names in sorted(users.items()):
        if port != 0 and len(names) > 1:
            yield f"port {port} is used {len(names)} times: {', '.join(names)}"


def _ports(settings: Any) -> Iterator[tuple[str, int]]:
    hints = typing.get_type_hints(type(settings))
    for field in attrs.fields(type(settings)):
        value = getattr(settings, field.name)
        if attrs.has(type(value)):
            yield from ((f"{field.name}.{name}", port) for name, port in _ports(value))
        elif Port in (hints[field.name], *typing.get_args(hints[field.name])) and isinstance(value, int):
            yield field.name, value
