"""Where two byte strings or two lists of one kind part: the first place, not every place after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kroma_core.recording.compare import Difference, differences
from kroma_core.recording.problems import shown

_WHOLE = 64
"""Bytes up to which both values are shown whole."""
_AROUND = 8
"""Bytes that are shown from the first one on that differs."""


def bytes_differences(field: str, leader: bytes, follower: bytes) -> Iterator[Difference]:
    """Nothing for equal bytes; both whole where they are short; else their sizes and the first byte that differs."""
    if leader == follower:
        return
    if max(len(leader), len(follower)) <= _WHOLE:
        yield Difference(field=field, expected=shown(leader), got=shown(follower))
        return
    if len(leader) != len(follower):
        yield Difference(field=f"{field} (bytes)", expected=str(len(leader)), got=str(len(follower)))
    place = first_difference_of(leader, follower)
    if place < min(len(leader), len(follower)):
        one, other = leader[place : place + _AROUND], follower[place : place + _AROUND]
        yield Difference(field=f"{field}, from byte {place} on", expected=shown(one), got=shown(other))


def first_difference_of(leader: bytes, follower: bytes) -> int:
    """The first place at which they differ; the length of the shorter where one begins with the other."""
    low, high = 0, min(len(leader), len(follower))
    if leader[:high] == follower[:high]:
        return high
    while low + 1 < high:  # equal up to `low`, different before `high`
        middle = (low + high) // 2
        if leader[low:middle] == follower[low:middle]:
            low = middle
        else:
            high = middle
    return low


def list_differences(field: str, leader: Sequence[object], follower: Sequence[object]) -> Iterator[Difference]:
    """Their lengths where these differ, and what differs in the first items that are not equal."""
    if len(leader) != len(follower):
        yield Difference(field=f"{field} (count)", expected=str(len(leader)), got=str(len(follower)))
    for place, (one, other) in enumerate(zip(leader, follower, strict=False)):
        if one == other:
            continue
        name = f"{field}[{place}]"
        if isinstance(one, bytes) and isinstance(other, bytes):
            yield from bytes_differences(name, one, other)
        else:
            yield from differences(one, other, name)
        return
