"""Inflating a channel: zlib or brotli, never beyond the limit, and as far as a broken stream goes.

A stream that is cut short, corrupt, or has a wrong checksum is worth what comes out before the error.
Spec: derivation.md, "Channel Format"; fjord/derivation.md, "Brotli Channel Compression".
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterator
from typing import Final

import attrs
import brotli

from kroma_core.derive.inflate import inflate_broken
from kroma_core.derive.malformed import Malformed

_ZLIB_METHODS: Final = (8, 15)
"""Low half of a first byte that announces zlib; 15 is reserved, and never opens."""
_BROTLI_VERSION: Final = 1
_MAX_WINDOW: Final = 7
_DICTIONARY_FLAG: Final = 0x20
_NO_DICTIONARY: Final = b"\x00\x00\x00\x01"
"""Checksum of the empty dictionary: a stream that asks for it is one that asks for none."""

_FIRST_PIECE: Final = 4095
_PIECE: Final = 32768
"""Portions in which the reference feeds its brotli decoder. They show in what a corrupt stream is worth: output reaches
the reader when a portion is used up, or when a whole window is full."""


class Compression(enum.StrEnum):
    """How a channel is compressed."""

    ZLIB = "zlib"
    BROTLI = "brotli"


class CompressionProblem(enum.StrEnum):
    """Why a channel cannot be opened. Each drops the whole channel."""

    EMPTY = "the channel is empty"
    UNKNOWN = "the first byte announces no known compression"
    BROTLI_TOO_EARLY = "brotli before its upgrade"
    BAD_ZLIB_HEADER = "not a zlib header"


COMPRESSION_RULE: Final = 'fjord/derivation.md, "Brotli Channel Compression"'


class StreamEnd(enum.StrEnum):
    """How the stream ended."""

    CLEAN = "clean"
    LIMIT = "limit"
    BROKEN = "broken"


@attrs.frozen(kw_only=True)
class Inflated:
    """What a channel holds: at most `limit` bytes, fewer if the stream broke before."""

    data: bytes = attrs.field(repr=False)
    compression: Compression
    end: StreamEnd


def decompress(channel: bytes, *, limit: int, brotli_allowed: bool) -> Inflated | Malformed:
    """Inflate a channel up to `limit` bytes, which has to be positive."""
    if not channel:
        return Malformed(CompressionProblem.EMPTY)
    first = channel[0]
    if first & 0x0F in _ZLIB_METHODS:
        return _zlib(channel, limit)
    if first != _BROTLI_VERSION:
        return Malformed(CompressionProblem.UNKNOWN)
    if not brotli_allowed:
        return Malformed(CompressionProblem.BROTLI_TOO_EARLY)
    return _brotli(channel, limit)


def _zlib(channel: bytes, limit: int) -> Inflated | Malformed:
    if len(channel) < 2 or channel[0] & 0x0F != 8 or channel[0] >> 4 > _MAX_WINDOW:
        return Malformed(CompressionProblem.BAD_ZLIB_HEADER)
    if int.from_bytes(channel[:2], "big") % 31:
        return Malformed(CompressionProblem.BAD_ZLIB_HEADER)
    start = 2
    if channel[1] & _DICTIONARY_FLAG:
        if channel[2:6] != _NO_DICTIONARY:
            return Malformed(CompressionProblem.BAD_ZLIB_HEADER, 2)
        start = 6
    stream = memoryview(channel)[start:]
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(stream, limit)
    except zlib.error:
        data = inflate_broken(stream, limit)
        end = StreamEnd.BROKEN
    else:
        end = StreamEnd.CLEAN if inflater.eof else StreamEnd.LIMIT
        if not inflater.eof and len(data) < limit:
            data = inflate_broken(stream, limit)
            end = StreamEnd.BROKEN
    return Inflated(data=data, compression=Compression.ZLIB, end=end)


def _brotli(channel: bytes, limit: int) -> Inflated:
    stream = memoryview(channel)[1:]
    decoder = brotli.Decompressor()
    data = bytearray()
    broken = False
    start, stop = 0, _FIRST_PIECE
    while start < len(stream) and len(data) < limit and not decoder.is_finished():
        try:
            for part in _outputs(decoder, stream[start:stop], limit - len(data)):
                data += part
        except brotli.error:
            data += _before_corruption(stream, start, stop, len(data), limit)
            broken = True
            break
        start, stop = stop, stop + _PIECE
    if len(data) >= limit:
        end = StreamEnd.LIMIT
    elif broken or not decoder.is_finished():
        end = StreamEnd.BROKEN
    else:
        end = StreamEnd.CLEAN
    return Inflated(data=bytes(data[:limit]), compression=Compression.BROTLI, end=end)


def _outputs(decoder: brotli.Decompressor, piece: bytes | memoryview, limit: int) -> Iterator[bytes]:
    """All that `decoder` gives after `piece`, in portions, until there are `limit` bytes or somewhat more."""
    while limit > 0:
        part: bytes = decoder.process(piece, output_buffer_limit=limit)
        if not part and decoder.can_accept_more_data():
            return
        yield part
        limit -= len(part)
        piece = b""


def _before_corruption(stream: memoryview, start: int, stop: int, given: int, limit: int) -> bytes:
    """What the reference's decoder still gives of the piece `start:stop` that it fails on, after `given` bytes.

    All of it if the stream ended and only what follows it is wrong; otherwise the windows that were full before the
    error. The decoder used here keeps nothing of a failing call, so the piece is read again byte by byte.
    """
    decoder = brotli.Decompressor()
    data = bytearray()
    for part in _outputs(decoder, stream[:start], limit):
        data += part
    try:
        for pos in range(start, min(stop, len(stream))):
            for part in _outputs(decoder, stream[pos : pos + 1], limit - len(data)):
                data += part
            if decoder.is_finished() or len(data) >= limit:
                return bytes(data[given:])
    except brotli.error:
        pass
    window = 1 << _window_bits(stream[0])
    return bytes(data[given : max(given, len(data) // window * window)])


def _window_bits(first: int) -> int:
    """Logarithm of the window's size, from a brotli stream's first byte. Spec: RFC 7932, section 9.1."""
    if not first & 1:
        return 16
    if first >> 1 & 7:
        return 17 + (first >> 1 & 7)
    return 8 + (first >> 4 & 7) if first >> 4 & 7 else 17
