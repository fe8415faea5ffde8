"""Size of data under FastLZ, the compressor whose result the L1 fee is estimated from.

Only the size is consensus; the compressed bytes themselves are never made. The dialect is level 1 with a hash table of
8 192 entries, as the GasPriceOracle contract has it.
Spec: fjord/predeploys.md, "GasPriceOracle"; fjord/exec-engine.md, "FastLZ Implementation".
"""

from __future__ import annotations

_HASH_MULTIPLIER = 2654435769
_HASH_MASK = 0x1FFF
_MAX_DISTANCE = 0x1FFF
_MAX_MATCH = 262
_SHORTEST_INPUT = 13
_UNSEARCHED_TAIL = 13
_MATCH_TAIL = 4


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
    match_limit = length - _MATCH_TAIL
    table: dict[int, int] = {}
    lookup = table.get
    size = 0
    anchor = 0
    position = 2
    while position < limit:
        while True:
            word = data[position] | data[position + 1] << 8 | data[position + 2] << 16
            slot = (_HASH_MULTIPLIER * word >> 19) & _HASH_MASK
            candidate = lookup(slot, 0)
            table[slot] = position
            if position >= limit:
                break
            position += 1
            if position - 1 - candidate > _MAX_DISTANCE:
                continue
            if data[candidate : candidate + 3] == data[position - 1 : position + 2]:
                break
        if position >= limit:
            break
        position -= 1
        if position > anchor:
            size += _literals_size(position - anchor)
        ahead = position + 3
        behind = candidate + 3
        longest = match_limit - ahead
        matched = 0
        while matched < longest:
            matched += 1
            if data[behind + matched - 1] != data[ahead + matched - 1]:
                break
        size += _match_size(matched - 1)
        position += matched
        for _ in range(2):
            word = data[position] | data[position + 1] << 8 | data[position + 2] << 16
            table[(_HASH_MULTIPLIER * word >> 19) & _HASH_MASK] = position
            position += 1
        anchor = position
    return size + _literals_size(length - anchor)
