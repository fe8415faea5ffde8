"""Asking several servers until one gives an answer that holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import attrs

from kroma_core.errors import TemporaryError
from kroma_l1_rpc.server import RpcServer
from kroma_l1_rpc.trust import Trust

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class ServerPool:
    """The servers of one L1, and what is remembered of them."""

    servers: Sequence[RpcServer]
    trust: Trust

    async def first(
        self, what: str, ask: Callable[[RpcServer], Awaitable[T | None]], *, exists: bool = False
    ) -> T | None:
        """The first good answer of the servers in the order of trust; None where those that answer have nothing.

        With `exists` the thing is known to be there: a server without it lags behind, and where all do that is an
        error. Raises `TemporaryError` with what every server said.
        """
        told: list[str] = []
        absent = 0
        for index in self.trust.order():
            server = self.servers[index]
            try:
                found = await ask(server)
            except TemporaryError as error:
                self.trust.failed(index, error)
                told.append(str(error))
                continue
            if found is not None:
                self.trust.kept_up(index)
                return found
            absent += 1
            if exists:
                self.trust.lagged(index, f"{what}: it has no such block yet")
                told.append(f"{server.name} does not have it")
        if absent and not exists:
            return None
        raise TemporaryError(f"{what}: {'; '.join(told)}")
