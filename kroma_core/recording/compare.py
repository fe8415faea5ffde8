"""Where two values of the same kind differ, field by field: for comparing what was computed with what was recorded."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from kroma_core.recording.problems import shown


@attrs.frozen(kw_only=True)
class Difference:
    """One field of two; `field` is a path such as `attributes.transactions[3]`."""

    field: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}"


def differences(expected: object, got: object, field: str = "") -> Iterator[Difference]:
    """Every difference between two attrs values, tuples or plain values, in the order of their fields."""
    kind = type(expected)
    if attrs.has(kind) and kind is type(got):
        for attribute in attrs.fields(kind):
            name = f"{field}.{attribute.name}" if field else attribute.name
            yield from differences(getattr(expected, attribute.name), getattr(got, attribute.name), name)
    elif isinstance(expected, tuple) and isinstance(got, tuple):
        for index, (one, other) in enumerate(zip(expected, got, strict=False)):
            yield from differences(one, other, f"{field}[{index}]")
        if len(expected) != len(got):
            yield Difference(field=f"{field} (count)", expected=str(len(expected)), got=str(len(got)))
    elif expected != got or type(expected) is not type(got):
        yield Difference(field=field, expected=shown(expected), got=shown(got))


def first_difference(expected: object, got: object, field: str = "") -> Difference | None:
    """The first of them; None where the values are equal."""
    return None if expected == got else next(differences(expected, got, field), None)
