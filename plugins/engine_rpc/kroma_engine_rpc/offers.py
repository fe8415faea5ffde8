"""What a profile may name: `rpc` as engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from kroma_core.api import Capability, ExecutionEngine, Facts, Offer, PluginContext, hookimpl
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import ConfigError


@attrs.frozen(kw_only=True)
class EngineSettings:
    """An external execution client: op-geth, op-reth, kroma-geth."""

    url: str = "http://127.0.0.1:8551"
    """The engine's authenticated port: http://, https://, ws:// or wss://."""
    jwt_secret: Path
    """File with the secret that the engine has too: 32 bytes in hex. Made, for its owner alone, where it is missing."""
    eth_url: str | None = None
    """A public port of the same engine for blocks, receipts and proofs; the authenticated port where none is named."""
    timeout: float = 10.0
    """Seconds until a question counts as unanswered."""
    execution_timeout: float = 60.0
    """Seconds that the engine may take to begin, seal or execute a block."""


@asynccontextmanager
async def open_engine(settings: EngineSettings, context: PluginContext) -> AsyncIterator[ExecutionEngine]:
    from kroma_engine_rpc.opening import opened

    async with opened(settings, context) as engine:
        yield engine


def check(settings: EngineSettings, chain: ChainConfig) -> Sequence[str]:
    from kroma_core.jsonrpc.address import ServerAddress
    from kroma_core.jsonrpc.jwt import JwtSecret

    problems: list[str] = []
    for name, url in (("url", settings.url), ("eth_url", settings.eth_url)):
        try:
            if url is not None:
                ServerAddress.parse(url)
        except ConfigError as error:
            problems.append(f"{name}: {error}")
    try:
        if settings.jwt_secret.exists():
            JwtSecret.read(settings.jwt_secret)
    except ConfigError as error:
        problems += [f"jwt_secret: {problem}" for problem in error.problems]
    for name, seconds in (("timeout", settings.timeout), ("execution_timeout", settings.execution_timeout)):
        if not seconds > 0:
            problems.append(f"{name}: expected more than 0 seconds, got {seconds:g}")
    return problems


async def inspect(settings: EngineSettings, context: PluginContext) -> Sequence[Facts]:
    from kroma_engine_rpc.inspection import inspected

    return await inspected(settings, context)


@hookimpl
def provide_engines() -> Sequence[Offer[ExecutionEngine]]:
    return [
        Offer(
            kind="rpc",
            config=EngineSettings,
            open=open_engine,
            check=check,
            inspect=inspect,
            summary="an external execution client, over the authenticated Engine API",
            capabilities=frozenset({Capability.EXECUTES, Capability.PROOFS}),
        )
    ]
