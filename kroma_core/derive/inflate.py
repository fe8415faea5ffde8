"""Deflate in plain Python, for streams that are broken.

A broken stream counts as far as the reference client's decoder (Go's compress/flate) gets, to the byte: what comes out
before the error is part of the channel. zlib judges some headers earlier, throws away what it had when it meets an
error, and reads the last symbol of a cut stream with fewer bits, so it is used for streams that it accepts, and this
module for the others. About a million symbols a second.
Spec: RFC 1951. What a broken stream is worth stands in no spec.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import attrs

_LENGTH_BASE: Final = (
    *range(3, 11), 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
)  # fmt: skip
_LENGTH_EXTRA: Final = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
_DISTANCE_EXTRA: Final = (0, 0, *(extra for extra in range(14) for _ in range(2)))
_DISTANCE_BASE: Final = (
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
)  # fmt: skip
_CODE_LENGTH_ORDER: Final = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_END_OF_BLOCK: Final = 256
_WINDOW: Final = 32768


class _Broken(Exception):
    """The stream ends or contradicts itself here."""


@attrs.frozen
class _Code:
    """A Huffman code as a table over the next `width` bits: symbol << 4 | length, 0 where no symbol begins so.

    `at_least` is how many bits are read before the table is asked.
    """

    table: Sequence[int]
    width: int
    at_least: int


@attrs.frozen(kw_only=True)
class Deflated:
    """What a deflate stream holds up to its first error, its end, or a limit.

    `rest` is what follows a stream that ends regularly. `portions` are the ends of the portions in which the decoder of
    the reference hands the data over: whenever a window is full, at an empty stored block, and at the end or error.
    `together` says that the end or error comes in one answer with the last portion, not in one of its own.
    """

    data: bytes = attrs.field(repr=False)
    rest: bytes | None = attrs.field(repr=False)
    portions: tuple[int, ...] = attrs.field(repr=False)
    together: bool


def inflate_slowly(data: bytes | memoryview, limit: int) -> Deflated:
    """Read a deflate stream, broken or not, until at least `limit` bytes (and up to 257 more) came out."""
    stream = _Inflater(data, limit)
    ended = False
    with contextlib.suppress(_Broken):
        ended = stream.run()
    size = len(stream.out)
    inner = {*range(_WINDOW, size + 1, _WINDOW), *stream.flushes}
    return Deflated(
        data=bytes(stream.out),
        rest=bytes(data[stream.pos :]) if ended else None,
        portions=tuple(sorted(inner | {size})),
        together=size not in inner,
    )


class _Inflater:
    def __init__(self, data: bytes | memoryview, limit: int) -> None:
        self.out = bytearray()
        self.pos = 0
        self.flushes: list[int] = []
        self._data = data
        self._limit = limit
        self._bits = 0
        self._count = 0

    def run(self) -> bool:
        """Whether the stream ended; it did not if the limit came first. Raises `_Broken`."""
        last = 0
        while not last:
            if len(self.out) >= self._limit:
                return False
            last = self._take(1)
            kind = self._take(2)
            if kind == 0:
                before = len(self.out)
                self._stored()
                if len(self.out) == before and not last:
                    self.flushes.append(before)
            elif kind == 1:
                self._block(_FIXED_LITERALS, _FIXED_DISTANCES)
            elif kind == 2:
                self._block(*self._codes())
            else:
                raise _Broken
        return True

    def _take(self, count: int) -> int:
        while self._count < count:
            if self.pos >= len(self._data):
                raise _Broken
            self._bits |= self._data[self.pos] << self._count
            self.pos += 1
            self._count += 8
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._count -= count
        return value

    def _symbol(self, code: _Code) -> int:
        need = code.at_least
        while True:
            while self._count < need:
                if self.pos >= len(self._data):
                    raise _Broken
                self._bits |= self._data[self.pos] << self._count
                self.pos += 1
                self._count += 8
            entry = code.table[self._bits & ((1 << code.width) - 1)]
            need = entry & 15
            if not need:
                raise _Broken
            if need <= self._count:
                self._bits >>= need
                self._count -= need
                return entry >> 4

    def _stored(self) -> None:
        self._bits = self._count = 0
        head = bytes(self._data[self.pos : self.pos + 4])
        self.pos += 4
        size = int.from_bytes(head[:2], "little")
        if len(head) < 4 or size ^ 0xFFFF != int.from_bytes(head[2:], "little"):
            raise _Broken
        chunk = self._data[self.pos : self.pos + size]
        self.pos += size
        self.out += chunk
        if len(chunk) < size:
            raise _Broken

    def _codes(self) -> tuple[_Code, _Code]:
        literals = self._take(5) + 257
        distances = self._take(5) + 1
        lengths_given = self._take(4) + 4
        if literals > 286 or distances > 30:
            raise _Broken
        code_lengths = [0] * 19
        for symbol in _CODE_LENGTH_ORDER[:lengths_given]:
            code_lengths[symbol] = self._take(3)
        code = _code(code_lengths)
        lengths: list[int] = []
        while len(lengths) < literals + distances:
            symbol = self._symbol(code)
            if symbol < 16:
                lengths.append(symbol)
                continue
            if symbol == 16:
                if not lengths:
                    raise _Broken
                repeated, times = lengths[-1], 3 + self._take(2)
            else:
                repeated, times = 0, 3 + self._take(3) if symbol == 17 else 11 + self._take(7)
            if len(lengths) + times > literals + distances:
                raise _Broken
            lengths += [repeated] * times
        # every block has to end, so as many bits as the end-of-block symbol takes are read before each symbol
        return _code(lengths[:literals], at_least=lengths[_END_OF_BLOCK]), _code(lengths[literals:])

    def _block(self, literals: _Code, distances: _Code) -> None:
        out = self.out
        while len(out) < self._limit:
            symbol = self._symbol(literals)
            if symbol < _END_OF_BLOCK:
                out.append(symbol)
                continue
            if symbol == _END_OF_BLOCK:
                return
            if symbol > 285:
                raise _Broken
            length = _LENGTH_BASE[symbol - 257] + self._take(_LENGTH_EXTRA[symbol - 257])
            place = self._symbol(distances)
            if place > 29:
                raise _Broken
            distance = _DISTANCE_BASE[place] + self._take(_DISTANCE_EXTRA[place])
            if distance > len(out):
                raise _Broken
            if distance >= length:
                start = len(out) - distance
                out += out[start : start + length]
            else:
                pattern = out[-distance:]
                out += (pattern * (length // distance + 1))[:length]


def _code(lengths: Sequence[int], at_least: int = 0) -> _Code:
    """The canonical Huffman code of these code lengths, which must fill the space of codes exactly.

    Two exceptions: a single symbol of length 1, and no symbol at all, which is an error only when it is used.
    """
    used = [length for length in lengths if length]
    if not used:
        return _Code((0,), 0, 0)
    width = max(used)
    space = sum(1 << (width - length) for length in used)
    if space != 1 << width and not (len(used) == 1 and width == 1):
        raise _Broken
    table = [0] * (1 << width)
    code = before = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
        code <<= length - before
        start = int(f"{code:0{length}b}"[::-1], 2)
        table[start :: 1 << length] = [symbol << 4 | length] * (1 << (width - length))
        code += 1
        before = length
    return _Code(table, width, max(min(used), at_least))


_FIXED_LITERALS: Final = _code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
_FIXED_DISTANCES: Final = _Code(tuple(int(f"{place:05b}"[::-1], 2) << 4 | 5 for place in range(32)), 5, 5)
