"""What the node and a child process say to each other."""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final, TypeAlias

import attrs

from kroma_core.errors import (
    ConfigError,
    CriticalError,
    DataMissing,
    DecodeError,
    EngineSyncing,
    KromaError,
    NotFound,
    ResetError,
    TemporaryError,
)
from kroma_core.events import Event

LENGTH: Final = struct.Struct(">Q")
"""Before each message: how many bytes it has."""

_BASES: Final = (
    NotFound, ConfigError, DecodeError, EngineSyncing, TemporaryError, DataMissing, ResetError, CriticalError,
    KromaError,
)  # fmt: skip
"""What an error of a plugin's own kind crosses as: the first of these that it is."""


@attrs.frozen
class Carried:
    """An error on its way. Not every kind keeps its notes in a pickle."""

    error: KromaError
    notes: tuple[str, ...] = ()

    def restored(self) -> KromaError:
        self.error.__notes__ = list(self.notes)
        return self.error


@attrs.frozen
class Call:
    """To the child: run a method of its part."""

    number: int
    method: str
    arguments: tuple[Any, ...]


@attrs.frozen
class Cancel:
    """To the child: nobody waits for the answer to a call any more."""

    number: int


@attrs.frozen
class Close:
    """To the child: close the part and end."""


@attrs.frozen
class Opened:
    """From the child: its part is open."""


@attrs.frozen
class Returned:
    """From the child: a call has ended well."""

    number: int
    value: Any


@attrs.frozen
class Lengthy:
    """A returned value in a pickle of its own, which is read where it delays no other answer."""

    data: bytes = attrs.field(repr=False)


@attrs.frozen
class Failed:
    """From the child: a call has raised."""

    number: int
    error: Carried


@attrs.frozen
class Abandoned:
    """From the child: a call was cancelled, and nothing of it will happen any more."""

    number: int


@attrs.frozen
class Emitted:
    """From the child: an event for the node's observers."""

    event: Event


@attrs.frozen
class Closed:
    """From the child, at last: the part is closed; `error` where it could not be opened or closed."""

    error: Carried | None = None


ToChild: TypeAlias = Call | Cancel | Close
FromChild: TypeAlias = Opened | Returned | Failed | Abandoned | Emitted | Closed


def packed(message: Any) -> bytes:
    """A message as it is sent."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def carried(error: KromaError) -> Carried:
    """The error as it can cross: with its type where that is core's own, with its text and notes in any case."""
    notes = tuple(getattr(error, "__notes__", ()))
    if type(error).__module__.startswith("kroma_core."):
        return Carried(error, notes)
    base = next(kind for kind in _BASES if isinstance(error, kind))
    return Carried(base(str(error)), notes)
