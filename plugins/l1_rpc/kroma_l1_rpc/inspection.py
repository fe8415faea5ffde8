"""What the servers of an L1 say of themselves, before a node is started on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from kroma_core.api import Facts, PluginContext
from kroma_core.codec.hexadecimal import fixed, quantity, to_quantity
from kroma_core.errors import DecodeError
from kroma_core.jsonrpc.client import Client, open_client
from kroma_core.jsonrpc.errors import NoAnswer, RpcError
from kroma_core.types import L1Number, Timestamp
from kroma_l1_rpc.offers import RpcSettings, revealed


async def inspected(settings: RpcSettings, context: PluginContext) -> Sequence[Facts]:
    """Each server, all asked at once."""
    number = L1Number(context.chain.rollup.genesis.l1.number)
    found: dict[int, Facts] = {}

    async def ask(place: int, url: str) -> None:
        async with open_client(url, part="l1", timeout=settings.timeout) as client:
            try:
                found[place] = await _facts(client, number)
            except NoAnswer as error:
                found[place] = Facts(server=client.server, silent=str(error))
            except (DecodeError, RpcError) as error:
                found[place] = Facts(server=client.server, silent=f"not an answer of an L1: {error}")

    async with trio.open_nursery() as nursery:
        for place, url in enumerate(settings.urls):
            nursery.start_soon(ask, place, revealed(url))
    return [found[place] for place in sorted(found)]


async def _facts(client: Client, number: L1Number) -> Facts:
    chain_id = quantity(await client.call("eth_chainId"), "eth_chainId", 256)
    genesis = await client.call("eth_getBlockByNumber", to_quantity(number), False)
    head = await client.call("eth_getBlockByNumber", "latest", False)
    time = _under(head, "timestamp")
    return Facts(
        server=client.server,
        problems=() if genesis is not None else (f"it has no block {number}, at which the rollup begins",),
        chain_id=chain_id,
        genesis=None if genesis is None else fixed(_under(genesis, "hash"), 32, "block hash"),
        head_time=None if time is None else Timestamp(quantity(time, "block timestamp")),
    )


def _under(found: Any, key: str) -> Any:
    return found.get(key) if isinstance(found, Mapping) else None
