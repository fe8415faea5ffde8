"""Whether an engine has the chain that a node was told to follow, and the methods that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kroma_core.chain.config import RollupConfig
from kroma_core.codec.hexadecimal import fixed, quantity, to_quantity
from kroma_core.errors import DecodeError, TemporaryError
from kroma_core.forks import Rules
from kroma_core.jsonrpc.client import Client
from kroma_core.jsonrpc.errors import RpcError

if TYPE_CHECKING:
    from kroma_engine_rpc.connection import Connection

WITHOUT_ATTRIBUTES = "engine_forkchoiceUpdatedV3"
"""The call that only moves heads has one version on every fork."""


def new_payload(rules: Rules) -> str:
    return f"engine_newPayloadV{rules.payload_version}"


def get_payload(rules: Rules) -> str:
    return f"engine_getPayloadV{rules.get_payload_version}"


def forkchoice_updated(rules: Rules) -> str:
    """With attributes."""
    return f"engine_forkchoiceUpdatedV{rules.forkchoice_version}"


def needed_methods(config: RollupConfig, since: int, until: int) -> Mapping[str, int]:
    """Methods that blocks with times in this range take, and from which time on."""
    times = [since, *sorted(time for time in config.schedule.times.values() if since < time <= until)]
    found: dict[str, int] = {WITHOUT_ATTRIBUTES: since}
    for time in times:
        rules = config.schedule.at(time)
        for method in (new_payload(rules), get_payload(rules), forkchoice_updated(rules)):
            found.setdefault(method, time)
    return found


async def identity_problems(
    connection: Connection, client: Client, config: RollupConfig
) -> tuple[list[str], int | None]:
    """Where chain id and genesis of a server are not the rollup's; and the time of its head."""
    genesis = config.genesis.l2
    chain_id, block, head = await connection.guarded(
        client,
        [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", [to_quantity(genesis.number), False]),
            ("eth_getBlockByNumber", ["latest", False]),
        ],
    )
    for method, result in (("eth_chainId", chain_id), ("eth_getBlockByNumber", block)):
        if isinstance(result, RpcError):
            raise TemporaryError(f"{method} of {client.server}: {result}")
    problems = []
    try:
        found_id = quantity(chain_id, "eth_chainId", 256)
        found_hash = None if block is None else fixed(_field(block, "hash"), 32, "block hash")
        head_time = quantity(_field(head, "timestamp"), "block timestamp") if isinstance(head, Mapping) else None
    except DecodeError as error:
        raise TemporaryError(f"{client.server}: {error}") from error
    if found_id != config.l2_chain_id:
        problems.append(
            f"the engine at {client.server} is of another chain: its chain id is {found_id}, "
            f"the rollup's is {config.l2_chain_id}"
        )
    if found_hash != genesis.hash:
        shown = "missing" if found_hash is None else f"0x{found_hash.hex()}"
        problems.append(
            f"the engine at {client.server} has another genesis: its block {genesis.number} is {shown}, "
            f"the rollup begins at 0x{genesis.hash.hex()}"
        )
    return problems, head_time


def _field(found: object, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None
