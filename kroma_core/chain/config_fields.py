"""Reading objects of configuration files (JSON or TOML): every problem is collected, none stops the reading.

A number, flag or text that is absent or null counts as zero, as it does for the clients whose files these are; the
caller says where zero is not allowed. Keys are found without regard to case, again as there. What is read is also what
is known: the keys that nobody asked for are the unknown ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from kroma_core.errors import ConfigError

U64 = 64
U256 = 256

_HEX = re.compile("[0-9a-fA-F]*")


@attrs.frozen
class Findings:
    """What reading a file has brought up so far; each text names file and key."""

    problems: list[str] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)

    def settle(self, *, strict: bool = False) -> tuple[str, ...]:
        """Raise `ConfigError` with every problem (strictly: with every warning too); otherwise the warnings."""
        found = [*self.problems, *self.warnings] if strict else self.problems
        if found:
            raise ConfigError(*found)
        return tuple(self.warnings)


@attrs.frozen(kw_only=True)
class Fields:
    """One object of a file, and where it stands."""

    entries: Mapping[str, Any]
    source: str
    path: str = ""
    findings: Findings = attrs.field(factory=Findings)
    _read: set[str] = attrs.field(factory=set, init=False)

    @classmethod
    def of(cls, value: object, *, source: str, findings: Findings | None = None) -> Fields:
        """The fields of a file's top-level object."""
        found = findings if findings is not None else Findings()
        if isinstance(value, Mapping):
            return cls(entries=value, source=source, findings=found)
        found.problems.append(f"{source}: expected an object, got {shown(value)}")
        return cls(entries={}, source=source, findings=found)

    def place(self, key: str) -> str:
        """File and key, as messages name them."""
        return f"{self.source}: {self.path}{key[:80]}"

    def problem(self, key: str, text: str) -> None:
        self.findings.problems.append(f"{self.place(key)}: {text}")

    def warn(self, key: str, text: str) -> None:
        self.findings.warnings.append(f"{self.place(key)}: {text}")

    def value(self, key: str) -> Any:
        """What stands under `key`, of any kind; None where it is absent or null."""
        spelled = self._spelled(key)
        self._read.add(spelled)
        return self.entries.get(spelled)

    def has(self, key: str) -> bool:
        """Whether the key is there, be it with null."""
        return self._spelled(key) in self.entries

    def number(self, key: str, *, least: int = 0, bits: int = U64, usual: bool = False) -> int:
        """An integer; `usual` warns where it is absent although zero would be allowed."""
        value = self.value(key)
        if value is None:
            if least > 0:
                self.problem(key, "missing")
            elif usual:
                self.warn(key, "missing, taken as 0")
            return least
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**bits:
            self.problem(key, f"expected a number from {least} to 2^{bits} - 1, got {shown(value)}")
            return least
        return value

    def optional_number(self, key: str, *, bits: int = U64) -> int | None:
        """An integer, or None where it is absent or null."""
        return None if self.value(key) is None else self.number(key, bits=bits)

    def quantity(self, key: str, *, bits: int = U64, required: bool = False) -> int:
        """A number in any form that geth takes: an integer, decimal text, or 0x-prefixed text."""
        value = self.value(key)
        if value is None:
            if required:
                self.problem(key, "missing")
            return 0
        number = _quantity(value)
        if number is None or not 0 <= number < 2**bits:
            self.problem(key, f"expected a number below 2^{bits}, decimal or 0x-prefixed, got {shown(value)}")
            return 0
        return number

    def optional_quantity(self, key: str, *, bits: int = U64) -> int | None:
        return None if self.value(key) is None else self.quantity(key, bits=bits)

    def data(self, key: str, size: int, *, nonzero: bool = False, nullable: bool = False) -> bytes:
        """0x-prefixed hex of exactly `size` bytes; zeros where it is absent, or null where that is allowed."""
        value = self.value(key)
        if value is None and (nullable or not self.has(key)):
            if nonzero:
                self.problem(key, "missing")
            return bytes(size)
        data = hex_data(value)
        if data is None or len(data) != size:
            self.problem(key, f"expected 0x and {2 * size} hex digits, got {shown(value)}")
            return bytes(size)
        if nonzero and not any(data):
            self.problem(key, "must not be zero")
        return data

    def any_data(self, key: str) -> bytes:
        """0x-prefixed hex of any number of bytes."""
        value = self.value(key)
        data = b"" if value is None else hex_data(value)
        if data is None:
            self.problem(key, f"expected 0x and hex digits, got {shown(value)}")
            return b""
        return data

    def text(self, key: str, *, required: bool = False) -> str:
        value = self.value(key)
        if value is None:
            if required:
                self.problem(key, "missing")
            return ""
        if not isinstance(value, str):
            self.problem(key, f"expected text, got {shown(value)}")
            return ""
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            self.problem(key, f"expected true or false, got {shown(value)}")
            return False
        return bool(value)

    def under(self, key: str) -> Fields:
        """The object under `key`; an empty one where it is absent (its own required fields are then missing)."""
        value = self.value(key)
        if value is not None and not isinstance(value, Mapping):
            self.problem(key, f"expected an object, got {shown(value)}")
        inner = value if isinstance(value, Mapping) else {}
        return Fields(entries=inner, source=self.source, path=f"{self.path}{key}.", findings=self.findings)

    def optional_under(self, key: str) -> Fields | None:
        return None if self.value(key) is None else self.under(key)

    def _spelled(self, key: str) -> str:
        """The key as this object spells it."""
        if key in self.entries:
            return key
        lower = key.lower()
        return next((other for other in self.entries if other.lower() == lower), key)

    def unknown(self) -> list[str]:
        """Keys that nobody has read so far, in the file's order."""
        return [key for key in self.entries if key not in self._read]

    def warn_of_unknown(self, reader: str) -> None:
        for key in self.unknown():
            self.warn(key, f"{reader} does not know this key")


def hex_data(value: object) -> bytes | None:
    """Bytes of 0x-prefixed hex text of even length; None for anything else."""
    if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
        return None
    digits = value[2:]
    if len(digits) % 2 or not _HEX.fullmatch(digits):
        return None
    return bytes.fromhex(digits)


def shown(value: object, most: int = 80) -> str:
    """A value for a message, cut where it is long."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, default=str) if not isinstance(value, int) or abs(value) < 2**1024 else "a huge number"
    return text if len(text) <= most else text[: most - 1] + "…"


def _quantity(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or len(value) > 80:
        return None
    if value[:2] in ("0x", "0X"):
        return int(value[2:], 16) if value[2:] and _HEX.fullmatch(value[2:]) else None
    if not value:
        return 0
    return int(value) if value.isascii() and value.isdigit() else None
