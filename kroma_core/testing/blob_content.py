"""What a blob of a recorded chain carries, read the plain way: four elements after four elements.

Spec: ecotone/derivation.md, "Blob Encoding".
"""

from __future__ import annotations

from typing import Final

_GROUP: Final = 128
"""Bytes of four elements, which carry 127."""


def blob_content(blob: bytes) -> bytes:
    """The data in a well-formed blob: what a publisher wrote, not what anybody may have."""
    carried = b"".join(_carried(blob[at : at + _GROUP]) for at in range(0, len(blob), _GROUP))
    version, length = carried[0], int.from_bytes(carried[1:4], "big")
    assert version == 0, f"blob: expected encoding version 0, got {version}"
    return carried[4 : 4 + length]


def _carried(group: bytes) -> bytes:
    """31 bytes of each element, and between them three that are spread over the low bits of their first bytes."""
    a, b, c, d = (group[at] for at in (0, 32, 64, 96))
    x = a & 0x3F | (b & 0x30) << 2
    y = b & 0x0F | (d & 0x0F) << 4
    z = c & 0x3F | (d & 0x30) << 2
    first, second, third, fourth = (group[at : at + 31] for at in (1, 33, 65, 97))
    return b"".join((first, bytes((x,)), second, bytes((y,)), third, bytes((z,)), fourth))
