"""Writing channels: batches joined, compressed, and cut into frames.

What is written here is valid and simple; how a batcher fills its channels is the batcher's business.
Spec: derivation.md, "Channel Format"; fjord/derivation.md, "Brotli Channel Compression".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

import brotli

from kroma_core.codec.rlp import encode_bytes
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import MAX_FRAME_DATA, MAX_FRAME_NUMBER, Frame

_BROTLI_VERSION: Final = b"\x01"
_BROTLI_QUALITY: Final = 10
_ZLIB_LEVEL: Final = 9


def encode_channel_data(batches: Iterable[bytes], compression: Compression) -> bytes:
    """A channel's content from batches with their type bytes."""
    content = b"".join([encode_bytes(batch) for batch in batches])
    if compression is Compression.ZLIB:
        return zlib.compress(content, _ZLIB_LEVEL)
    compressed: bytes = brotli.compress(content, quality=_BROTLI_QUALITY)
    return _BROTLI_VERSION + compressed


def cut_into_frames(channel_id: bytes, data: bytes, max_data: int = MAX_FRAME_DATA) -> tuple[Frame, ...]:
    """The frames of a complete channel, of at most `max_data` bytes each. Raises `ValueError` if they are too many."""
    cuts = range(0, len(data), max_data) or range(1)
    if len(cuts) > MAX_FRAME_NUMBER + 1:
        raise ValueError(f"channel of {len(data)} bytes does not fit into frames of {max_data} bytes")
    last = len(cuts) - 1
    return tuple(
        Frame(channel_id=channel_id, number=number, data=data[cut : cut + max_data], is_last=number == last)
        for number, cut in enumerate(cuts)
    )


def encode_channel(
    batches: Iterable[bytes],
    compression: Compression,
    *,
    channel_id: bytes,
    max_frame_data: int = MAX_FRAME_DATA,
) -> tuple[Frame, ...]:
    """The frames that carry `batches` (with their type bytes)."""
    return cut_into_frames(channel_id, encode_channel_data(batches, compression), max_frame_data)
