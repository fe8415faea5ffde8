"""What an engine says of itself, before a node is started on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kroma_core.api import Facts, PluginContext
from kroma_core.chain.config import RollupConfig
from kroma_core.codec.hexadecimal import fixed, quantity, to_quantity
from kroma_core.errors import ConfigError, DecodeError
from kroma_core.jsonrpc.address import ServerAddress
from kroma_core.jsonrpc.answers import Call
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.errors import NoAnswer, RpcError
from kroma_core.jsonrpc.jwt import JwtSecret
from kroma_core.types import Timestamp
from kroma_engine_rpc.connection import UNAUTHORIZED, unauthorized
from kroma_engine_rpc.identity import needed_methods
from kroma_engine_rpc.offers import EngineSettings

_EVER = 2**63


async def inspected(settings: EngineSettings, context: PluginContext) -> Sequence[Facts]:
    """The authenticated port, and the public one where it is named."""
    found = [await _authenticated(settings, context)]
    if settings.eth_url is not None:
        found.append(await _asked(settings.eth_url, settings, context, None))
    return found


async def _authenticated(settings: EngineSettings, context: PluginContext) -> Facts:
    path = settings.jwt_secret
    try:
        secret = JwtSecret.read(path)
    except ConfigError as error:
        said = str(error)
        if not path.exists():
            said = f"{path} (jwt_secret) is missing; the node would make it, and the engine has to be given the same"
        return Facts(server=ServerAddress.parse(settings.url).name, problems=(said,))
    return await _asked(settings.url, settings, context, secret)


async def _asked(url: str, settings: EngineSettings, context: PluginContext, secret: JwtSecret | None) -> Facts:
    def authorization() -> Mapping[str, str]:
        return {} if secret is None else {"authorization": f"Bearer {secret.token(context.clock())}"}

    rollup = context.chain.rollup
    async with open_client(url, part="engine rpc", headers=authorization, timeout=settings.timeout) as client:
        try:
            return await _facts(client, rollup, int(context.clock()), engine=secret is not None)
        except NoAnswer as error:
            if error.status in UNAUTHORIZED:
                return Facts(server=client.server, problems=(str(unauthorized(error, settings.jwt_secret)),))
            return Facts(server=client.server, silent=str(error))
        except DecodeError as error:
            return Facts(server=client.server, silent=f"not an answer of an engine: {error}")


async def _facts(client: Client, rollup: RollupConfig, now: int, *, engine: bool) -> Facts:
    genesis = rollup.genesis.l2
    calls: list[Call] = [
        ("eth_chainId", []),
        ("eth_getBlockByNumber", [to_quantity(genesis.number), False]),
        ("eth_getBlockByNumber", ["latest", False]),
        ("eth_getBlockByNumber", ["safe", False]),
        ("debug_chainConfig", []),
        ("admin_nodeInfo", []),
    ]
    if engine:
        calls.append(("engine_exchangeCapabilities", [sorted(needed_methods(rollup, rollup.genesis.l2_time, _EVER))]))
    answers = await client.batch(calls)
    chain_id, first, head, safe, config, node_info, *capabilities = answers
    for method, answer in (("eth_chainId", chain_id), ("eth_getBlockByNumber", first)):
        if isinstance(answer, RpcError):
            return Facts(server=client.server, problems=(f"{method}: {answer}",))
    problems = [] if first is not None else [f"it has no block {genesis.number}"]
    head_time = _time(head)
    problems += _missing(capabilities, rollup, rollup.genesis.l2_time if head_time is None else head_time, now)
    return Facts(
        server=client.server,
        problems=tuple(problems),
        chain_id=quantity(chain_id, "eth_chainId", 256),
        genesis=None if first is None else fixed(_under(first, "hash"), 32, "block hash"),
        head_time=head_time,
        safe_time=_time(safe) or rollup.genesis.l2_time,
        chain_config=_config(config, node_info),
    )


def _missing(capabilities: Sequence[Any], rollup: RollupConfig, head_time: int, now: int) -> list[str]:
    """Methods that this chain needs from the engine's head on, and that the engine does not list."""
    listed = capabilities[0] if capabilities else None
    if not isinstance(listed, list):
        return []
    needed = needed_methods(rollup, head_time, _EVER)
    return [
        f"it lacks {method}, which this chain needs from time {since} on{' (not yet)' if since > now else ''}"
        for method, since in sorted(needed.items())
        if method not in listed
    ]


def _config(config: Any, node_info: Any) -> Mapping[str, Any] | None:
    """geth's chain config, from whichever of its methods the engine serves."""
    for found in (config, _under(_under(_under(node_info, "protocols"), "eth"), "config")):
        if isinstance(found, Mapping) and "chainId" in found:
            return found
    return None


def _time(block: Any) -> Timestamp | None:
    found = _under(block, "timestamp")
    return None if found is None else Timestamp(quantity(found, "block timestamp"))


def _under(found: Any, key: str) -> Any:
    return found.get(key) if isinstance(found, Mapping) else None
