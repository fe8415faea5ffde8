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
    words = [first | second << 8 | third << 16 for first, second, third in zip(data, data[1:], data[2:], strict=False)]
    slots = [(_HASH_MULTIPLIER * word >> 19) & _HASH_MASK for word in words]
    table: dict[int, int] = {}
    lookup = table.get
    size = 0
    anchor = 0
    position = 2
    candidate = 0
    while True:
        for position in range(position, limit):  # noqa: B020  # goes on where the last match ended
            slot = slots[position]
            candidate = lookup(slot, 0)
            table[slot] = position
            if words[candidate] == words[position] and position - candidate <= _MAX_DISTANCE:
                break
        else:
            break
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
