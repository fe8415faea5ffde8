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

from kroma_core.derive.inflate import inflate_slowly
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
    """What a channel holds: at most `limit` bytes, fewer if the stream broke before.

    `portions` is not empty where the reference's decoder reports the error in one answer with its last output; it has
    the ends of all the portions in which that decoder hands the data over (see `ChannelReader`).
    """

    data: bytes = attrs.field(repr=False)
    compression: Compression
    end: StreamEnd
    portions: tuple[int, ...] = attrs.field(default=(), repr=False)


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
        data = inflater.decompress(stream, limit + 1)
    except zlib.error:
        return _broken_zlib(stream, limit)
    if len(data) > limit:
        return Inflated(data=data[:limit], compression=Compression.ZLIB, end=StreamEnd.LIMIT)
    if not inflater.eof or not _checksum_holds(data, inflater.unused_data):
        return _broken_zlib(stream, limit)
    return Inflated(data=data, compression=Compression.ZLIB, end=StreamEnd.CLEAN)


def _checksum_holds(data: bytes, rest: bytes) -> bool:
    return rest[:4] == zlib.adler32(data).to_bytes(4, "big")


def _broken_zlib(stream: memoryview, limit: int) -> Inflated:
    found = inflate_slowly(stream, limit + 1)
    end, portions = StreamEnd.BROKEN, found.portions if found.together else ()
    if len(found.data) > limit:
        end, portions = StreamEnd.LIMIT, ()
    elif found.rest is not None and _checksum_holds(found.data, found.rest):
        end, portions = StreamEnd.CLEAN, ()
    return Inflated(data=found.data[:limit], compression=Compression.ZLIB, end=end, portions=portions)


def _brotli(channel: bytes, limit: int) -> Inflated:
    stream = memoryview(channel)[1:]
    whole = _whole_brotli(stream, limit)
    return _brotli_in_pieces(stream, limit) if whole is None else whole


def _whole_brotli(stream: memoryview, limit: int) -> Inflated | None:
    """The stream in one go; None if it is broken or exceeds the limit, when it matters how it was read."""
    decoder = brotli.Decompressor()
    try:
        data: bytes = decoder.process(stream, output_buffer_limit=limit + 1)
    except brotli.error:
        return None
    if not decoder.is_finished() or len(data) > limit:
        return None
    return Inflated(data=data, compression=Compression.BROTLI, end=StreamEnd.CLEAN)


def _brotli_in_pieces(stream: memoryview, limit: int) -> Inflated:
    decoder = brotli.Decompressor()
    data = bytearray()
    portions: list[int] = []
    together = False
    start, stop = 0, _FIRST_PIECE
    while start < len(stream) and len(data) <= limit and not decoder.is_finished():
        portions.append(len(data))
        try:
            for part in _outputs(decoder, stream[start:stop], limit + 1 - len(data)):
                data += part
        except brotli.error:
            data[portions[-1] :] = _before_corruption(stream, start, stop, portions[-1], limit + 1)
            together = len(data) > portions[-1]
            portions.append(len(data))
            break
        start, stop = stop, stop + _PIECE
    else:
        portions.clear()
    if len(data) > limit:
        end, together = StreamEnd.LIMIT, False
    elif portions or not decoder.is_finished():
        end = StreamEnd.BROKEN
    else:
        end = StreamEnd.CLEAN
    return Inflated(
        data=bytes(data[:limit]),
        compression=Compression.BROTLI,
        end=end,
        portions=tuple(portions) if together else (),
    )


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
    error. The decoder used here keeps nothing of a failing call, so the piece is read again byte by byte. One case is
    not told apart: while the reference's ring buffer is smaller than the window, a metablock that ends exactly where
    the buffer does is handed over in part.
    """
    decoder = brotli.Decompressor()
    data = bytearray()
    window = 1 << _window_bits(stream[0])
    try:
        for pos in (slice(start), *(slice(at, at + 1) for at in range(start, min(stop, len(stream))))):
            for part in _outputs(decoder, stream[pos], limit + window):
                data += part
                if len(data) // window * window >= limit:
                    return bytes(data[given:])
            if decoder.is_finished():
                return bytes(data[given:])
    except brotli.error:
        pass
    return bytes(data[given : max(given, len(data) // window * window)])


def _window_bits(first: int) -> int:
    """Logarithm of the window's size, from a brotli stream's first byte. Spec: RFC 7932, section 9.1."""
    if not first & 1:
        return 16
    if first >> 1 & 7:
        return 17 + (first >> 1 & 7)
    return 8 + (first >> 4 & 7) if first >> 4 & 7 else 17
