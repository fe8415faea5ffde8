"""Opens the way to an external engine, and makes sure of the chain where the engine is there already."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import attrs

from kroma_core.api import Clock, PluginContext
from kroma_core.errors import ConfigError, CriticalError, TemporaryError
from kroma_core.events import Retrying
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.jwt import JwtSecret
from kroma_engine_rpc.connection import Connection
from kroma_engine_rpc.engine import RpcEngine
from kroma_engine_rpc.offers import EngineSettings

PART = "engine rpc"
KEPT_SECONDS: Final = 5.0
"""How long a token is used again; engines take those of the last 60 seconds."""


@asynccontextmanager
async def opened(settings: EngineSettings, context: PluginContext) -> AsyncIterator[RpcEngine]:
    """The engine. One that does not answer yet is waited for when it is first needed.

    Raises `ConfigError` where it holds another chain, lacks methods or refuses the secret.
    """
    secret = JwtSecret.read_or_make(settings.jwt_secret)

    authorization = _Authorization(secret, context.clock)

    def at(url: str, timeout: float, *, authenticated: bool) -> AbstractAsyncContextManager[Client]:
        headers = authorization if authenticated else None
        return open_client(url, part=PART, emit=context.emit, headers=headers, timeout=timeout)

    questions = at(settings.eth_url or settings.url, settings.timeout, authenticated=settings.eth_url is None)
    async with at(settings.url, settings.execution_timeout, authenticated=True) as engine, questions as eth:
        connection = Connection(
            engine=engine, eth=eth, chain=context.chain, clock=context.clock, secret=settings.jwt_secret
        )
        try:
            problems = await connection.check()
        except CriticalError as error:
            raise ConfigError(str(error)) from error
        except TemporaryError as error:
            context.emit(Retrying(part=PART, what="reach the engine", error=str(error), attempt=1, delay=0.0))
        else:
            if problems:
                raise ConfigError(*problems)
        yield RpcEngine(connection)


@attrs.define
class _Authorization:
    """The header of a request. A token serves for a few seconds: making one takes longer than most of the rest."""

    _secret: JwtSecret
    _clock: Clock
    _header: dict[str, str] = attrs.field(factory=dict)
    _issued: float = -math.inf

    def __call__(self) -> dict[str, str]:
        now = self._clock()
        if not 0 <= now - self._issued < KEPT_SECONDS:
            self._header, self._issued = {"authorization": f"Bearer {self._secret.token(now)}"}, now
        return self._header
