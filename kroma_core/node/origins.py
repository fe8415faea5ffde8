"""Where a setting has its value from: the profile's line, an environment variable, or the default."""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from kroma_core.node.profile import Profile
from kroma_core.node.settings import EnvironmentText

Way: TypeAlias = tuple[str | int, ...]
"""The way to a value in a profile: names of tables and keys, and places in lists, counted from 0."""


class OriginKind(enum.StrEnum):
    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@attrs.frozen(kw_only=True)
class Origin:
    """`line` of the profile, or `variable` of the environment. A secret's own place is `secret`: never its text."""

    kind: OriginKind
    line: int | None = None
    variable: str | None = None
    secret: str | None = None

    def __str__(self) -> str:
        if self.variable is not None:
            return self.variable
        where = "default" if self.kind is OriginKind.DEFAULT else f"line {self.line}" if self.line else "file"
        return f"{where}, {self.secret}" if self.secret is not None else where


DEFAULT = Origin(kind=OriginKind.DEFAULT)


@attrs.frozen
class Origins:
    """What a profile and the environment say, and on which line of the profile."""

    _tables: Mapping[str, Any]
    _lines: Mapping[Way, int]

    @classmethod
    def of(cls, profile: Profile) -> Origins:
        """The origins of a profile's settings. The lines are those of the file as it is now."""
        try:
            text = profile.path.read_text(encoding="utf-8") if profile.path is not None else ""
        except (OSError, UnicodeDecodeError):
            text = ""
        return cls(profile.tables, lines_of(text))

    def find(self, way: Way) -> Origin:
        """Where a setting has its value from."""
        value: Any = self._tables
        for step in way:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return DEFAULT
        if isinstance(value, EnvironmentText):
            return Origin(kind=OriginKind.ENVIRONMENT, variable=value.variable)
        return Origin(kind=OriginKind.FILE, line=self.line(way), secret=", ".join(_secrets(value)) or None)

    def line(self, way: Way) -> int | None:
        """The line on which a table or a setting begins; of one inside another value, that one's."""
        for length in range(len(way), 0, -1):
            if (found := self._lines.get(way[:length])) is not None:
                return found
        return None


def _secrets(value: Any) -> Iterator[str]:
    """Where the secrets in a value are kept."""
    match value:
        case {"env": str(name), **rest} if not rest:
            yield f"secret in the environment variable {name}"
        case {"file": str(name), **rest} if not rest:
            yield f"secret in the file {name}"
        case list():
            for item in value:
                yield from _secrets(item)


def lines_of(text: str) -> Mapping[Way, int]:
    """The lines on which the tables and keys of a TOML text begin. Nothing where it is not TOML."""
    # Not `splitlines`: to TOML a line ends with a line feed alone.
    lines, found, lengths = text.replace("\r\n", "\n").split("\n"), dict[Way, int](), dict[Way, int]()
    here: Way = ()
    at = 0
    while at < len(lines):
        first = at
        stated = lines[at]
        while (parsed := _parsed(stated)) is None:  # a value that goes on on the next line
            at += 1
            if at == len(lines):
                return found
            stated += "\n" + lines[at]
        at += 1
        if stated.lstrip().startswith("["):
            here = _header(parsed, lengths)
            found.setdefault(here, first + 1)
        else:
            for way in _ways(parsed):
                found.setdefault((*here, *way), first + 1)
    return found


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _header(parsed: Any, lengths: dict[Way, int]) -> Way:
    """The table that a header begins: `[a.b]` is in the last `[[a]]` where there are several of those."""
    way: Way = ()
    while parsed:
        [(name, parsed)] = parsed.items()
        way = (*way, name)
        if isinstance(parsed, list):
            lengths[way] = lengths.get(way, 0) + 1
            [parsed] = parsed
        if way in lengths:
            way = (*way, lengths[way] - 1)
    return way


def _ways(value: Any) -> Iterator[Way]:
    """All ways into a value, that of the value itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield (step,)
        yield from ((step, *way) for way in _ways(inner))
