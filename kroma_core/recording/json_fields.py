"""Reading the fields of a recording's JSON objects: each is checked for presence, kind and size as it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from kroma_core.recording.problems import refuse
from kroma_core.types import BlockId


@attrs.frozen(kw_only=True)
class Fields:
    """One JSON object of a recording, and where it stands (for messages)."""

    file: Path
    part: str
    object: dict[str, Any]

    @classmethod
    def of(cls, value: Any, *, file: Path, part: str) -> Fields:
        if not isinstance(value, dict):
            raise refuse(file, part, "value", expected="a JSON object", got=_kind(value))
        return cls(file=file, part=part, object=value)

    def __contains__(self, key: str) -> bool:
        return self.object.get(key) is not None

    def value(self, key: str) -> Any:
        if key not in self.object:
            raise refuse(self.file, self.part, key, expected="a value", got="nothing")
        return self.object[key]

    def under(self, key: str) -> Fields:
        """The object under `key`."""
        return Fields.of(self.value(key), file=self.file, part=f"{self.part}.{key}" if self.part else key)

    def list(self, key: str) -> list[Any]:
        value = self.value(key)
        if not isinstance(value, list):
            raise refuse(self.file, self.part, key, expected="a JSON list", got=_kind(value))
        return value

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise refuse(self.file, self.part, key, expected="a string", got=_kind(value))
        return value

    def number(self, key: str) -> int:
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
            raise refuse(self.file, self.part, key, expected="a number below 2^64", got=value)
        return value

    def data(self, key: str, size: int | None = None) -> bytes:
        """0x-prefixed hex of `size` bytes, or of any number of them."""
        return self._hex(self.value(key), key, size)

    def data_list(self, key: str) -> tuple[bytes, ...]:
        return tuple(self._hex(item, f"{key}[{index}]", None) for index, item in enumerate(self.list(key)))

    def quantities(self, key: str) -> tuple[int, ...]:
        """A list of 0x-prefixed numbers."""
        found = []
        for index, item in enumerate(self.list(key)):
            if not isinstance(item, str) or not item.startswith("0x"):
                raise refuse(self.file, self.part, f"{key}[{index}]", expected="a 0x-prefixed number", got=item)
            try:
                found.append(int(item[2:], 16))
            except ValueError:
                raise refuse(
                    self.file, self.part, f"{key}[{index}]", expected="a 0x-prefixed number", got=item
                ) from None
        return tuple(found)

    def block_id(self, key: str) -> BlockId:
        """An object with `hash` and `number`."""
        inner = self.under(key)
        return BlockId(inner.data("hash", 32), inner.number("number"))

    def _hex(self, value: Any, field: str, size: int | None) -> bytes:
        try:
            if not isinstance(value, str) or value[:2] != "0x":
                raise ValueError
            data = bytes.fromhex(value[2:])
            if len(data) * 2 + 2 != len(value):  # fromhex skips white space
                raise ValueError
        except ValueError:
            raise refuse(self.file, self.part, field, expected="0x-prefixed hex", got=value) from None
        if size is not None and len(data) != size:
            raise refuse(self.file, self.part, field, expected=f"{size} bytes", got=f"{len(data)} bytes")
        return data


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
