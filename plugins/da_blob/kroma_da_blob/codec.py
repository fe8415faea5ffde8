"""How bytes lie in a blob: 4096 field elements of 32 bytes, whose two highest bits have to stay free.

A group of four elements a, b, c, d carries 127 bytes: 31 in each, and between them three bytes x, y, z that are spread
over the six low bits of the four first bytes:

    a: x5..x0    b: x7 x6 y3..y0    c: z5..z0    d: z7 z6 y7..y4

The first four of all these bytes are a version and the length of the data.
Spec: ecotone/derivation.md, "Blob Encoding".
"""

from __future__ import annotations

from kroma_core.errors import DecodeError

BLOB_SIZE = 131_072
VERSION = 0
MAX_DATA = 1024 * 127 - 4
"""Bytes of data that one blob can hold: 130 044."""

_ELEMENT = 32
_GROUP = 128
_CARRIED = 127
_HEADER = 4


def encode(data: bytes) -> bytes:
    """The blob that carries `data`. Raises `DecodeError` for more than `MAX_DATA` bytes."""
    if len(data) > MAX_DATA:
        raise DecodeError(f"blob data: expected at most {MAX_DATA} bytes, got {len(data)}")
    content = bytes((VERSION,)) + len(data).to_bytes(3, "big") + data
    groups = _groups(len(content))
    content = content.ljust(groups * _CARRIED, b"\0")
    blob = bytearray(b"\0" + b"\0".join([content[at : at + _CARRIED] for at in range(0, len(content), _CARRIED)]))
    x, y, z = (int.from_bytes(blob[at::_GROUP], "big") for at in (32, 64, 96))
    blob[0::_GROUP] = (x & _mask(0x3F, groups)).to_bytes(groups, "big")
    blob[32::_GROUP] = (y & _mask(0x0F, groups) | (x & _mask(0xC0, groups)) >> 2).to_bytes(groups, "big")
    blob[64::_GROUP] = (z & _mask(0x3F, groups)).to_bytes(groups, "big")
    blob[96::_GROUP] = ((z & _mask(0xC0, groups)) >> 2 | (y & _mask(0xF0, groups)) >> 4).to_bytes(groups, "big")
    return bytes(blob).ljust(BLOB_SIZE, b"\0")


def decode(blob: bytes) -> bytes:
    """The data that a blob carries. Raises `DecodeError`.

    The two high bits of the blob's very first byte are not looked at. Everything after the data has to be zero: carried
    bytes in the last group that holds data, and all bytes of the groups after it.
    """
    if len(blob) != BLOB_SIZE:
        raise DecodeError(f"blob: expected {BLOB_SIZE} bytes, got {len(blob)}")
    if blob[1] != VERSION:
        raise DecodeError(f"blob: expected encoding version {VERSION}, got {blob[1]}")
    length = int.from_bytes(blob[2:5], "big")
    if length > MAX_DATA:
        raise DecodeError(f"blob: expected a length of at most {MAX_DATA}, got {length}")
    groups = _groups(_HEADER + length)
    used = groups * _GROUP
    if max(blob[_ELEMENT:used:_ELEMENT]) > 0x3F:
        raise DecodeError("blob: one of the two highest bits of an element is set")
    content = bytearray(blob[:used])
    a, b, c, d = (int.from_bytes(blob[at:used:_GROUP], "big") for at in (0, 32, 64, 96))
    content[32::_GROUP] = (a & _mask(0x3F, groups) | (b & _mask(0x30, groups)) << 2).to_bytes(groups, "big")
    content[64::_GROUP] = (b & _mask(0x0F, groups) | (d & _mask(0x0F, groups)) << 4).to_bytes(groups, "big")
    content[96::_GROUP] = (c & _mask(0x3F, groups) | (d & _mask(0x30, groups)) << 2).to_bytes(groups, "big")
    del content[0::_GROUP]
    end = _HEADER + length
    if content.count(0, end) != len(content) - end:
        raise DecodeError(f"blob: the last group has bytes after the {length} bytes of data")
    if blob.count(0, used) != BLOB_SIZE - used:
        raise DecodeError(f"blob: elements after the {length} bytes of data are not zero")
    return bytes(content[_HEADER:end])


def _groups(size: int) -> int:
    """Groups that carry `size` bytes."""
    return -(-size // _CARRIED)


def _mask(byte: int, count: int) -> int:
    return int.from_bytes(bytes((byte,)) * count, "big")
