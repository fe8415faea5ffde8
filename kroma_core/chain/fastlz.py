"""Size of data under FastLZ, the compressor whose result the L1 fee is estimated from.

Only the size is consensus; the compressed bytes themselves are never made. The dialect is level 1 with a hash table of
8 192 entries, as the GasPriceOracle contract has it.
Spec: fjord/predeploys.md, "GasPriceOracle"; fjord/exec-engine.md, "FastLZ Implementation".
"""

from __future__ import annotations

import struct

_HASH_MULTIPLIER = 2654435769
_HASH_MASK = 0x1FFF
_MAX_DISTANCE = 0x1FFF
_MAX_MATCH = 262
_SHORTEST_INPUT = 13
_UNSEARCHED_TAIL = 13
_MATCH_TAIL = 4
_STRIDE = 16


def _literals_size(count: int) -> int:
    """Encoded size of a run of literals: one control byte for up to 32 of them."""
    full, rest = divmod(count, 32)
    return 33 * full + (rest + 1 if rest else 0)


def _match_size(length: int) -> int:
    """Encoded size of a match of `length` bytes beyond the two that its shortest form implies."""
    full, rest = divmod(length, _MAX_MATCH)
    return 3 * full + (3 if rest >= 6 else 2)


def compressed_size(data: bytes) -> int:
    """Length of `data` compressed.

    A match is searched from the third byte up to 13 bytes before the end; it may reach to 4 bytes before the end.
    """
    length = len(data)
    if length < _SHORTEST_INPUT:
        return _literals_size(length)
    limit = length - _UNSEARCHED_TAIL
    slots = _slots(data)
    # The table's empty places stand for position 0.
    table = {slots[0]: 0}
    find = table.get
    size = 0
    anchor = 0
    position = 2
    candidate: int | None = 0
    while True:
        for position in range(position, limit):  # noqa: B020  # goes on where the last match ended
            slot = slots[position]
            candidate = find(slot)
            table[slot] = position
            if (
                candidate is not None
                and data[candidate : candidate + 3] == data[position : position + 3]
                and position - candidate <= _MAX_DISTANCE
            ):
                break
        else:
            break
        assert candidate is not None
        if position + 1 >= limit:
            break
        if position > anchor:
            size += _literals_size(position - anchor)
        matched = _matched(data, candidate + 3, position + 3, length - _MATCH_TAIL)
        size += _match_size(matched - 1)
        position += matched
        table[slots[position]] = position
        table[slots[position + 1]] = position + 1
        position += 2
        anchor = position
    return size + _literals_size(length - anchor)


def _slots(data: bytes) -> list[int]:
    """Place in the hash table of the three bytes at each position."""
    count = len(data) - 3
    words = [0] * count
    for offset in range(4):
        words[offset::4] = struct.unpack_from(f"<{(count - offset + 3) // 4}I", data, offset)
    return [((word & 0xFFFFFF) * _HASH_MULTIPLIER >> 19) & _HASH_MASK for word in words]


def _matched(data: bytes, behind: int, ahead: int, end: int) -> int:
    """How many bytes are compared until the first that differs, that one included, or `end`."""
    start = ahead
    while ahead + _STRIDE <= end and data[behind : behind + _STRIDE] == data[ahead : ahead + _STRIDE]:
        behind += _STRIDE
        ahead += _STRIDE
    while ahead < end:
        ahead += 1
        if data[behind] != data[ahead - 1]:
            break
        behind += 1
    return ahead - start
