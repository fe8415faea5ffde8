"""HTTP/1.1 answers from bytes, whole and in pieces, and what is none. The cases follow RFC 9112."""

from __future__ import annotations

import gzip
import zlib

import pytest

from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import HttpAnswer, NoHttpAnswer
from kroma_core.jsonrpc.http_reading import AnswerReader, request_text

MOST = 5_000


def read(*pieces: bytes, most: int = MOST, ends: bool = False) -> tuple[HttpAnswer, bool]:
    """The answer in these pieces, and whether the connection may be used again."""
    reader = AnswerReader(most)
    whole = False
    for piece in pieces:
        assert not whole
        whole = reader.take(piece)
    if not whole:
        assert ends, "the answer is not whole"
        reader.end()
    return reader.answer, reader.keeps_open


def failure(text: bytes, *, most: int = MOST) -> tuple[Failure, str]:
    """What is wrong with an answer after which the server closes."""
    with pytest.raises(NoHttpAnswer) as caught:
        read(text, most=most, ends=True)
    return caught.value.failure, caught.value.reason


PACKED = gzip.compress(b"hello")
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "sized": (OK + b"Content-Length: 5\r\n\r\nhello", True),
    "sized, spaces around": (OK + b"content-length: \t 5 \r\n\r\nhello", True),
    "sized twice the same": (OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello", True),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", True),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n", True),
    "chunked, extensions and trailers": (
        OK + b"transfer-encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\nx-sum: 1\r\ny: 2\r\n\r\n",
        True,
    ),
    "closing": (OK + b"content-length: 5\r\nConnection: Close\r\n\r\nhello", False),
    "closing among others": (OK + b"content-length: 5\r\nconnection: x, close\r\n\r\nhello", False),
    "of the older version": (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", False),
    "of the older version, kept": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        True,
    ),
    "sized and chunked at once": (
        OK + b"content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        False,
    ),
    "after interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        True,
    ),
    "compressed unasked": (
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PACKED) + PACKED,
        True,
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize(("text", "keeps_open"), WHOLE.values(), ids=WHOLE)


@EACH
def test_an_answer_is_read_whole(text: bytes, keeps_open: bool) -> None:
    answer, kept = read(text)
    assert (answer.status, answer.body, kept) == (200, b"hello", keeps_open)


@EACH
def test_an_answer_is_read_in_single_bytes(text: bytes, keeps_open: bool) -> None:
    answer, kept = read(*(text[place : place + 1] for place in range(len(text))))
    assert (answer.status, answer.body, kept) == (200, b"hello", keeps_open)


@EACH
def test_an_answer_that_ends_too_early_is_none(text: bytes, keeps_open: bool) -> None:
    for length in range(len(text)):
        found, reason = failure(text[:length])
        assert (found, "closed connection" in reason) == (Failure.UNREACHABLE, True)


@EACH
def test_a_connection_that_has_more_to_say_is_not_used_again(text: bytes, keeps_open: bool) -> None:
    answer, kept = read(text + b"H")
    assert (answer.body, kept) == (b"hello", False)


def test_the_end_of_the_connection_may_be_that_of_the_answer() -> None:
    answer, kept = read(OK + b"\r\n", b"hel", b"lo", ends=True)
    assert (answer.body, kept) == (b"hello", False)


def test_headers_are_known_in_lower_case_and_joined() -> None:
    answer, _ = read(b"HTTP/1.1 204 No\r\nRetry-After: 7\r\nX: a\r\nx: b\r\nEmpty:\r\n\r\n")
    assert (answer.status, answer.body) == (204, b"")
    assert dict(answer.headers) == {"retry-after": "7", "x": "a, b", "empty": ""}


def test_a_refusal_is_read_as_far_as_it_is_shown() -> None:
    head = b"HTTP/1.1 500 No\r\ncontent-length: 99999999\r\n\r\n"
    answer, kept = read(head, b"x" * 1_000, b"y" * 1_000)
    assert (answer.status, len(answer.body), kept) == (500, 1_024, False)
    answer, kept = read(b"HTTP/1.1 500 No\r\ncontent-length: 3\r\n\r\nno!")
    assert (answer.body, kept) == (b"no!", True)


@pytest.mark.parametrize(
    "text",
    [
        b"hello, this is no HTTP",
        b"\x15\x03\x03\x00\x02\x02\x70",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        OK + b"content-length: five\r\n\r\nhello",
        OK + b"content-length: -5\r\n\r\nhello",
        OK + b"content-length: 5, 6\r\n\r\nhello!",
        OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        OK + b"content-length: \xb2\r\n\r\nhi",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nhello\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n0" + b"0" * 5_000,
        OK + b"no header\r\n\r\n",
        OK + b"a: 1\r\n folded: 2\r\n\r\n",
        OK + b"spaced : 1\r\n\r\n",
        OK + b"a: \x00\r\n\r\n",
        OK + b"a: " + b"x" * 70_000,
        OK + b"content-encoding: br\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"content-encoding: gzip\r\ncontent-length: 15\r\n\r\n" + gzip.compress(b"hello")[:15],
    ],
    ids=lambda text: repr(text[-40:]),
)
def test_what_breaks_the_rules_is_no_answer(text: bytes) -> None:
    assert failure(text)[0] is Failure.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        OK + b"content-length: 5001\r\n\r\n",
        OK + b"content-length: 999999999999\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n1389\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n",
        OK + b"\r\n" + b"x" * 5_001,
        OK + b"content-encoding: deflate\r\n\r\n" + zlib.compress(bytes(5_001)),
    ],
    ids=lambda text: repr(text[-40:]),
)
def test_more_than_is_taken_is_refused_as_soon_as_it_shows(text: bytes) -> None:
    assert failure(text) == (Failure.TOO_LARGE, "expected an answer of at most 5000 bytes, got more")


def test_a_small_answer_does_not_unpack_to_a_large_one() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    assert failure(OK + b"content-encoding: deflate\r\n\r\n" + bomb, most=1_000_000)[0] is Failure.TOO_LARGE


def test_a_request_says_how_long_it_is() -> None:
    text = request_text("POST", "/v3?x=1", {"host": "h", "x-token": "1"}, b"hello")
    assert text == b"POST /v3?x=1 HTTP/1.1\r\nhost: h\r\nx-token: 1\r\ncontent-length: 5\r\n\r\nhello"
    assert request_text("GET", "/", {"host": "h"}, b"") == b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


@pytest.mark.parametrize("value", ["secret\r\nx: y", "secret\n", "secret\x00", "secr\xe9t"])
def test_a_header_that_cannot_be_sent_is_not_repeated(value: str) -> None:
    with pytest.raises(NoHttpAnswer) as caught:
        request_text("GET", "/", {"authorization": value}, b"")
    assert "secr" not in caught.value.reason
