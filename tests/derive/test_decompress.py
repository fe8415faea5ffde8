"""What a channel's compressed stream is worth, whole or broken."""

from __future__ import annotations

import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec.rlp import encode_bytes
from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.channel_reader import ChannelEnd, open_channel
from kroma_core.derive.channels import RawChannel
from kroma_core.derive.decompress import Compression, CompressionProblem, Inflated, StreamEnd, decompress
from kroma_core.derive.inflate import inflate_slowly
from kroma_core.derive.malformed import Malformed
from kroma_core.forks import Rules
from kroma_core.types import L1Number
from tests.derive.batcher_data import TERMS, block, encoded

LIMIT = 1_000_000
contents = st.one_of(
    st.binary(max_size=3000),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=40), st.integers(1, 3000)),
)


def inflated(channel: bytes, limit: int = LIMIT) -> Inflated:
    found = decompress(channel, limit=limit, brotli_allowed=True)
    assert isinstance(found, Inflated)
    return found


def zlib_stream(content: bytes, *, level: int = 9, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    compressor = zlib.compressobj(level, strategy=strategy)
    return compressor.compress(content) + compressor.flush()


@given(
    contents,
    st.sampled_from((0, 1, 6, 9)),
    st.sampled_from((zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)),
)
@settings(max_examples=50, deadline=None)
def test_the_slow_decoder_reads_what_zlib_reads(content: bytes, level: int, strategy: int) -> None:
    found = inflate_slowly(zlib_stream(content, level=level, strategy=strategy)[2:], LIMIT)
    assert found.data == content
    assert found.rest == zlib.adler32(content).to_bytes(4, "big")


@given(contents, st.data())
@settings(max_examples=50, deadline=None)
def test_a_stream_that_is_cut_gives_a_part_of_its_beginning(content: bytes, data: st.DataObject) -> None:
    whole = zlib_stream(content)
    found = inflated(whole[: data.draw(st.integers(2, len(whole) - 1))])
    assert found.end is StreamEnd.BROKEN
    assert content.startswith(found.data)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_inflated_within_the_limit(data: bytes) -> None:
    for channel in (data, b"\x78\x9c" + data, b"\x01" + data):
        found = decompress(channel, limit=1000, brotli_allowed=True)
        assert isinstance(found, Malformed) or len(found.data) <= 1000


@pytest.mark.parametrize("compression", list(Compression))
def test_a_bomb_is_not_inflated_beyond_the_limit(compression: Compression) -> None:
    content = bytes(20_000_000)
    channel = zlib_stream(content) if compression is Compression.ZLIB else b"\x01" + brotli.compress(content, quality=1)
    found = inflated(channel)
    assert found.end is StreamEnd.LIMIT
    assert len(found.data) == LIMIT


@pytest.mark.parametrize("compression", list(Compression))
def test_content_that_just_fits_the_limit_is_whole(compression: Compression) -> None:
    content = bytes(range(256)) * 100
    channel = zlib_stream(content) if compression is Compression.ZLIB else b"\x01" + brotli.compress(content)
    assert inflated(channel, len(content)).end is StreamEnd.CLEAN
    assert inflated(channel, len(content) - 1).end is StreamEnd.LIMIT


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        (b"", CompressionProblem.EMPTY),
        (b"\x02abc", CompressionProblem.UNKNOWN),
        (b"\x78", CompressionProblem.BAD_ZLIB_HEADER),
        (b"\x78\x9d", CompressionProblem.BAD_ZLIB_HEADER),
        (b"\x7f\x00", CompressionProblem.BAD_ZLIB_HEADER),
        (b"\x88\x1c", CompressionProblem.BAD_ZLIB_HEADER),
        (b"\x78\xbb\x00\x00\x00\x02", CompressionProblem.BAD_ZLIB_HEADER),
    ],
)
def test_a_channel_that_cannot_be_opened_says_why(channel: bytes, problem: CompressionProblem) -> None:
    found = decompress(channel, limit=LIMIT, brotli_allowed=True)
    assert isinstance(found, Malformed)
    assert found.reason is problem


def test_brotli_before_its_upgrade_drops_the_channel() -> None:
    found = decompress(b"\x01" + brotli.compress(b"x"), limit=LIMIT, brotli_allowed=False)
    assert found == Malformed(CompressionProblem.BROTLI_TOO_EARLY)


def test_a_stream_may_ask_for_the_empty_dictionary() -> None:
    plain = zlib_stream(b"content")
    assert inflated(b"\x78\xbb\x00\x00\x00\x01" + plain[2:]).data == b"content"


def test_an_incomplete_code_gives_what_came_before_it() -> None:
    stored = b"\x00" + (3).to_bytes(2, "little") + (0xFFFC).to_bytes(2, "little") + b"abc"
    broken_block = b"\x05\x00\xff"
    assert inflated(b"\x78\x9c" + stored + broken_block).data == b"abc"


def test_what_follows_a_brotli_stream_does_not_void_it() -> None:
    found = inflated(b"\x01" + brotli.compress(b"content") + b"junk")
    assert found.data == b"content"
    assert found.end is StreamEnd.BROKEN


def batches_in(channel: bytes) -> tuple[int, Malformed | None]:
    """How many batches a channel has, and how it ends."""
    raw = RawChannel(id=bytes(16), data=channel, frames=1, opened_at=L1Number(1))
    reader = open_channel(raw, Rules(brotli=True), TERMS)
    assert not isinstance(reader, Malformed)
    while batch := reader.next():
        if isinstance(batch, Malformed):
            return reader.batches, batch
    return reader.batches, None


def with_wrong_checksum(content: bytes) -> bytes:
    return zlib_stream(content)[:-4] + b"\0\0\0\0"


@pytest.mark.parametrize("ending", [b"", b"\0", b"\0\0\0\0"])
def test_a_small_batch_survives_a_missing_or_wrong_checksum(ending: bytes) -> None:
    content = b"".join(encode_bytes(batch) for batch in encoded(1, 2))
    assert batches_in(zlib_stream(content)[:-4] + ending) == (2, None)


def test_a_large_last_batch_is_lost_with_the_checksum_error_that_comes_with_its_last_bytes() -> None:
    large = encode_bytes(encode_singular_batch(block(2, [bytes(range(256)) * 40])))
    small = b"".join(encode_bytes(batch) for batch in encoded(1))
    assert batches_in(zlib_stream(small + large)) == (2, None)
    count, end = batches_in(with_wrong_checksum(small + large))
    assert count == 1
    assert end is not None
    assert end.reason is ChannelEnd.BROKEN_STREAM
    assert batches_in(with_wrong_checksum(large + small)) == (2, None)


def test_a_large_last_batch_survives_if_its_end_is_that_of_a_window() -> None:
    overhead = len(encode_bytes(encode_singular_batch(block(1, [bytes(32_000)])))) - 32_000
    content = encode_bytes(encode_singular_batch(block(1, [bytes(32_768 - overhead)])))
    assert len(content) == 32_768
    assert batches_in(with_wrong_checksum(content)) == (1, None)
