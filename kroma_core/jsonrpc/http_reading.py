"""The text of an HTTP/1.1 request, and answers read from the bytes of a connection. No I/O.

Spec: RFC 9112.
"""

from __future__ import annotations

import enum
import re
import zlib
from collections.abc import Mapping
from typing import Final

from kroma_core.jsonrpc.errors import Failure
from kroma_core.jsonrpc.http_answer import EXCERPT, OK, HttpAnswer, NoHttpAnswer, too_large

LONGEST_HEAD: Final = 64 * 1024
_LONGEST_LINE: Final = 4096
"""Of a chunk's size with its extensions, and of a trailer."""
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_BODILESS: Final = frozenset({204, 304})
_MOST_INTERIM: Final = 16
"""Answers of the 1xx kind that may come before the one that counts."""


def request_text(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it is sent. Raises `NoHttpAnswer` for a header that cannot be sent; its value is not repeated."""
    values = "".join(headers.values())
    if not (values.isascii() and values.isprintable()):
        raise NoHttpAnswer(Failure.UNREACHABLE, "a header cannot be sent: it holds a line break, or no ASCII")
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class _Part(enum.Enum):
    """What of an answer comes next."""

    HEAD = enum.auto()
    SIZED = enum.auto()
    TO_THE_END = enum.auto()
    """A body that the end of the connection ends."""
    CHUNK_SIZE = enum.auto()
    CHUNK = enum.auto()
    CHUNK_END = enum.auto()
    TRAILERS = enum.auto()
    NOTHING = enum.auto()


class AnswerReader:
    """Reads one answer, whose body may have `most` bytes.

    Errors of every method: `NoHttpAnswer`.
    """

    def __init__(self, most: int) -> None:
        self.keeps_open = False
        """Whether the connection may carry another request, once the answer is whole."""
        self._most = most
        self._next = _Part.HEAD
        self._held = b""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: bytes | bytearray = b""
        self._left = 0
        """Bytes that the body, or a chunk of it, still lacks."""
        self._interim = 0

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self._next is not _Part.HEAD or bool(self._held) or self._interim > 0

    def take(self, data: bytes) -> bool:
        """Read the next bytes of the connection; True when nothing more of the answer is wanted."""
        held = self._held + data if self._held else data
        while self._next is not _Part.NOTHING:
            rest = self._read(held)
            if rest is None:
                self._held = held if self._next in _BY_LINES else b""
                break
            held = rest
        else:
            self._held = b""
            self.keeps_open = self.keeps_open and not held  # what nobody asked for makes a connection useless
            return True
        if self._is_enough():
            self.keeps_open = False  # the rest is not read
            return True
        return False

    def end(self) -> None:
        """The server has closed the connection. Raises where the answer is not whole."""
        if self._next is _Part.TO_THE_END or self._is_enough():
            self.keeps_open = False
            return
        if not self.begun:
            raise NoHttpAnswer(Failure.UNREACHABLE, "the peer closed connection without an answer")
        raise NoHttpAnswer(
            Failure.UNREACHABLE, f"the peer closed connection after {len(self._body)} bytes of an answer"
        )

    @property
    def answer(self) -> HttpAnswer:
        """The answer, once it is whole."""
        body = bytes(self._body)
        if self._status != OK:
            body = body[:EXCERPT]
        elif self._headers.get("content-encoding", "identity").lower() != "identity":
            body = _decompressed(body, self._headers["content-encoding"].lower(), self._most)
        return HttpAnswer(status=self._status, headers=self._headers, body=body)

    def _is_enough(self) -> bool:
        """Whether the rest of a refusal can be left unread."""
        return self._status != OK and len(self._body) >= EXCERPT

    def _read(self, held: bytes) -> bytes | None:
        """Read one part of the answer from the bytes that are there: what is left of them, or None to wait for more."""
        match self._next:
            case _Part.HEAD:
                return self._read_head(held)
            case _Part.SIZED | _Part.CHUNK:
                return self._read_sized(held)
            case _Part.TO_THE_END:
                self._keep(held)
                return None
            case _Part.CHUNK_SIZE:
                return self._read_chunk_size(held)
            case _Part.CHUNK_END:
                line, rest = _line(held)
                if line:
                    raise _broken("a chunk that is longer than its size")
                self._next = _Part.CHUNK_SIZE if line is not None else self._next
                return rest
            case _:
                line, rest = _line(held)
                self._next = _Part.NOTHING if line == b"" else self._next
                return rest

    def _read_head(self, held: bytes) -> bytes | None:
        end = held.find(b"\r\n\r\n")
        if end > LONGEST_HEAD or (end < 0 and len(held) > LONGEST_HEAD):
            raise _broken(f"headers of more than {LONGEST_HEAD} bytes")
        if end < 0:
            if len(held) >= 7 and not held.startswith(b"HTTP/1."):
                raise _broken("no HTTP/1.1 answer")
            return None
        first, *lines = held[:end].split(b"\r\n")
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise _broken("no HTTP/1.1 answer")
        self._status = int(status[2])
        self._headers = _fields(lines)
        if self._status < 200:
            self._interim += 1
            if self._status == 101 or self._interim > _MOST_INTERIM:
                raise _broken(f"status {self._status}, which was not asked for")
            self._status = 0
        else:
            connection = {word.strip() for word in self._headers.get("connection", "").lower().split(",")}
            self.keeps_open = "keep-alive" in connection if status[1] == b"0" else "close" not in connection
            self._begin_body()
        return held[end + 4 :]

    def _begin_body(self) -> None:
        coding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        if self._status in _BODILESS:
            self._next = _Part.NOTHING
        elif coding is not None:
            if coding.lower() != "chunked":
                raise _broken("a transfer coding other than chunked")
            # Both headers at once are how requests and answers come to be taken for each other.
            self.keeps_open = self.keeps_open and length is None
            self._next = _Part.CHUNK_SIZE
        elif length is None:
            self._next = _Part.TO_THE_END
        else:
            lengths = {part.strip() for part in length.split(",")}
            text = lengths.pop()
            if lengths or not (text.isascii() and text.isdigit() and len(text) < 16):
                raise _broken("a content-length that is no number")
            self._left = int(text)
            self._expect_room(self._left)  # before anything is read of it
            self._next = _Part.SIZED if self._left else _Part.NOTHING

    def _read_sized(self, held: bytes) -> bytes | None:
        if not held:
            return None
        piece = held if len(held) <= self._left else held[: self._left]
        self._left -= len(piece)
        self._keep(piece)
        if self._left:
            return None
        self._next = _Part.NOTHING if self._next is _Part.SIZED else _Part.CHUNK_END
        return held[len(piece) :]

    def _read_chunk_size(self, held: bytes) -> bytes | None:
        line, rest = _line(held)
        if line is None:
            return None
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise _broken("a chunk without its size")
        self._left = int(found[1], 16)
        self._expect_room(self._left)
        self._next = _Part.CHUNK if self._left else _Part.TRAILERS
        return rest

    def _keep(self, piece: bytes) -> None:
        self._expect_room(len(piece))
        if not self._body:
            self._body = piece  # most answers come in one piece
        else:
            # One buffer: a server that sends single bytes would fill memory with objects otherwise.
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece

    def _expect_room(self, size: int) -> None:
        if len(self._body) + size > self._most and self._status == OK:
            raise too_large(self._most)


_BY_LINES: Final = frozenset({_Part.HEAD, _Part.CHUNK_SIZE, _Part.CHUNK_END, _Part.TRAILERS})
"""Parts that are read a line at a time: what has come of one waits for the rest."""


def _line(held: bytes) -> tuple[bytes | None, bytes | None]:
    """The first line and what follows; None twice while it is not whole."""
    end = held.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(held) >= _LONGEST_LINE:
            raise _broken(f"a line of more than {_LONGEST_LINE} bytes between chunks")
        return None, None
    return held[:end], held[end + 2 :]


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Headers by name in lower case; one that comes again is joined to the first."""
    found: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _broken("a header that is none")
        name, value = field[1].decode("latin-1").lower(), field[2].decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _decompressed(body: bytes, coding: str, most: int) -> bytes:
    """The body of an answer that a server has compressed without being asked to."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise _broken("a content coding that was not asked for")
    reader = zlib.decompressobj(47)  # gzip and zlib, told apart by their first bytes
    try:
        found = reader.decompress(body, most + 1)
    except zlib.error as error:
        raise NoHttpAnswer(Failure.MALFORMED, f"the answer does not decompress ({error})") from error
    if len(found) > most:
        raise too_large(most)
    if not reader.eof:
        raise NoHttpAnswer(Failure.MALFORMED, "the answer does not decompress (it ends too early)")
    return found


def _broken(what: str) -> NoHttpAnswer:
    return NoHttpAnswer(Failure.MALFORMED, f"the answer breaks HTTP's rules: got {what}")
