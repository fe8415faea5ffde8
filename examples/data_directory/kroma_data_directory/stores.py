"""Where content is kept: a folder, or objects behind an HTTP URL. Neither is trusted: the reader checks what comes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import attrs
import trio

from kroma_core.errors import TemporaryError
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.http_answer import HttpAnswer, HttpRequests, NoHttpAnswer

_STORED = frozenset({200, 201, 204})
_UNFINISHED = ".part"
_NAME = re.compile("[0-9a-f]{64}")


class Store(Protocol):
    """Content by name."""

    async def get(self, name: str, most: int) -> bytes:
        """At most `most` + 1 bytes of the content; more is never read. Raises `TemporaryError` where it has none."""
        ...


class Folder:
    """A file for each content, readable by everything else that can read the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self, name: str, most: int) -> bytes:
        # a network drive may hang, and nothing is changed: a caller that gives up need not wait
        return await trio.to_thread.run_sync(self.get_now, name, most, abandon_on_cancel=True)

    def get_now(self, name: str, most: int) -> bytes:
        """The same in the caller's thread."""
        try:
            with (self._path / name).open("rb") as file:
                return file.read(most + 1)
        except OSError as error:
            raise TemporaryError(f"read {self._path / name}: {error.strerror}") from error

    def put_now(self, name: str, content: bytes) -> None:
        """Keep a content for good: when this returns it survives a crash. Half of it is never seen under its name."""
        path = self._path / name
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(_UNFINISHED).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.with_suffix(_UNFINISHED).replace(path)
            folder = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise TemporaryError(f"write {path}: {error.strerror}") from error

    def remove_now(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The contents that are there, the oldest first, with their names."""
        paths = [path for path in self._path.glob("*") if _NAME.fullmatch(path.name)]
        for path in sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name)):
            yield path.name, path.read_bytes()


@attrs.frozen(kw_only=True)
class Bucket:
    """An object for each content: `GET` and `PUT` of the URL with the name behind it, as S3 has them."""

    address: ServerAddress
    requests: HttpRequests
    headers: Mapping[str, str] = attrs.field(repr=False)
    seconds: float

    async def get(self, name: str, most: int) -> bytes:
        return (await self._answered("GET", name, frozenset({200}), most=most)).body

    async def put(self, name: str, content: bytes) -> None:
        """Store an object. Raises `TemporaryError` unless the server says that it has it."""
        await self._answered("PUT", name, _STORED, content, most=1024)

    async def _answered(
        self, method: str, name: str, good: frozenset[int], content: bytes = b"", *, most: int
    ) -> HttpAnswer:
        what = f"{method} of object {name} at {self.address.name}"
        path, mark, query = self.address.target.partition("?")
        target = f"{path.rstrip('/')}/{name}{mark}{query}"
        try:
            with trio.fail_after(self.seconds):
                answer = await self.requests.request(method, target, self.headers, content, most=most)
        except trio.TooSlowError:
            raise TemporaryError(f"{what}: no whole answer within {self.seconds:g} s") from None
        except NoHttpAnswer as error:
            raise TemporaryError(f"{what}: {self.address.censored(error.reason)}") from error
        if answer.status not in good:
            raise TemporaryError(f"{what}: the server answers with HTTP status {answer.status}")
        return answer
