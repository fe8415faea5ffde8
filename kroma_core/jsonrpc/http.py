"""HTTP requests and responses as a server's parts see them, which part answers which path, and what a server is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import attrs
import orjson

from kroma_core.events import Event
from kroma_core.jsonrpc.limits import DEFAULT, Limits
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.processing import ignore


@attrs.frozen(kw_only=True)
class Request:
    """A request whose body has arrived. Names of headers are in lower case; the last of equal ones counts."""

    method: str
    path: str
    query: Mapping[str, list[str]] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    named: Mapping[str, str] = attrs.field(factory=dict)
    """What stands at the places of `{name}` in the route's path."""


@attrs.frozen(kw_only=True)
class Response:
    """What is answered."""

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Response:
        """`value` as JSON; `bytes` are JSON text already."""
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        return cls(status=status, body=body, content_type="application/json")

    @classmethod
    def text(cls, text: str, status: int = 200) -> Response:
        return cls(status=status, body=text.encode())


@attrs.frozen
class Route:
    """Who answers `method` on `path`; `{name}` in the path stands for one part of it.

    `answer` may raise what the handler of a method may: `NotFound` and `DecodeError` become 404 and 400.
    """

    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]
    _pattern: re.Pattern[str] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        parts = re.split(r"\{(\w+)\}", self.path)
        pattern = "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
        object.__setattr__(self, "_pattern", re.compile(pattern))

    def match(self, path: str) -> dict[str, str] | None:
        """The named parts of a path, or None where the path is another one."""
        found = self._pattern.fullmatch(path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


def find_route(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | bool:
    """The route of a path with its named parts; otherwise whether the path exists for another method."""
    exists = False
    for route in routes:
        named = route.match(path)
        if named is not None:
            if route.method == method or (route.method == "GET" and method == "HEAD"):
                return route, named
            exists = True
    return exists


def split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """Path and query of a request's target. Raises `ValueError` for a query with too many fields."""
    path, _, query = target.partition("?")
    return path, parse_qs(query, keep_blank_values=True, max_num_fields=1000)


Authorise = Callable[[Mapping[str, str]], str | None]
"""Looks at the headers of a request (names in lower case): why it is refused, or None. A refusal is answered 401."""

LOCAL = frozenset({"localhost"})


@attrs.frozen(kw_only=True)
class HttpServer:
    """What is served on one port.

    `table` names the profile's table in events and messages, without brackets. `hosts` are the names under which a
    client may address the server, `origins` the web pages that may (`"*"`: any). `emit` is told of every call.
    """

    table: str
    methods: Methods | None = None
    routes: Sequence[Route] = ()
    websocket: bool = False
    authorise: Authorise | None = None
    hosts: frozenset[str] = LOCAL
    origins: frozenset[str] = frozenset()
    limits: Limits = DEFAULT
    emit: Callable[[Event], None] = ignore
