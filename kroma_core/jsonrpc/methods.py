"""The methods that a server answers, by name."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import attrs

from kroma_core.jsonrpc.errors import Code, RpcError

Handler = Callable[..., Awaitable[Any]]
"""A coroutine function whose positional parameters are the method's; defaults make parameters optional.

Its result is what JSON can hold, or `bytes`: JSON text that is there already. Integers beyond 64 bits do not fit. It
raises `RpcError`; `DecodeError` counts as invalid params, any other `KromaError` as an error with its text. A
keyword-only parameter `connection` receives the `Connection` of a WebSocket client, and None where the client cannot
be told anything later.
"""


@attrs.frozen(kw_only=True)
class Method:
    """A handler with what its signature says: how many parameters it needs, and how many it can take."""

    name: str
    handler: Handler
    least: int
    most: int | None
    wants_connection: bool

    def bind(self, params: Any) -> tuple[Any, ...]:
        """The handler's arguments. Raises `RpcError`: parameters are a list, neither too short nor too long."""
        if params is None:
            params = []
        if not isinstance(params, list):
            raise RpcError(Code.INVALID_PARAMS, f"{self.name}: params must be a list, without names")
        if len(params) < self.least:
            raise RpcError(Code.INVALID_PARAMS, f"{self.name}: missing value for required argument {len(params)}")
        if self.most is not None and len(params) > self.most:
            raise RpcError(Code.INVALID_PARAMS, f"{self.name}: too many arguments, want at most {self.most}")
        return tuple(params)


class Methods:
    """What a server answers. A namespace that is off is simply not added: its methods do not exist."""

    def __init__(self) -> None:
        self._by_name: dict[str, Method] = {}

    def add(self, name: str, handler: Handler) -> None:
        """Answer calls of `name` (`namespace_method`) with `handler`. A name can be given once."""
        if name in self._by_name:
            raise ValueError(f"the method {name} is there already")
        self._by_name[name] = _described(name, handler)

    def add_namespace(self, namespace: str, handlers: Mapping[str, Handler]) -> None:
        """Add several methods `namespace_name`."""
        for name, handler in handlers.items():
            self.add(f"{namespace}_{name}", handler)

    def find(self, name: str) -> Method | None:
        return self._by_name.get(name)

    def names(self) -> Iterable[str]:
        return self._by_name.keys()

    def modules(self) -> dict[str, str]:
        """Namespaces with their versions, as `rpc_modules` answers."""
        return dict.fromkeys(sorted({name.partition("_")[0] for name in self._by_name}), "1.0")


def _described(name: str, handler: Handler) -> Method:
    least, most, wants_connection = 0, 0, False
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return Method(name=name, handler=handler, least=least, most=None, wants_connection=wants_connection)
        if parameter.kind is parameter.KEYWORD_ONLY:
            wants_connection = wants_connection or parameter.name == "connection"
            continue
        most += 1
        if parameter.default is parameter.empty:
            least = most
    return Method(name=name, handler=handler, least=least, most=most, wants_connection=wants_connection)
