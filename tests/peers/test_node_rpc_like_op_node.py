"""What our node answers on its RPC is what op-node answers that followed the same L1, key for key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import trio

from tests.node.recorded_worlds import world
from tests.node_rpc.recorded_node import recorded_node
from tests.peers.rpc import Rpc
from tests.peers.test_serve import following

CHAIN = "plain-jovian"
ABSENT = {"head_l1", "safe_l1", "finalized_l1", "current_l1", "current_l1_finalized", "finalized_l2"}
"""Parts of the status that depend on how far each has looked at the L1, which goes on; their form is compared."""


def shape(value: Any) -> Any:
    """Keys and types, without the values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value).__name__


def test_our_answers_are_those_of_op_node(tmp_path: Path) -> None:
    async def main() -> None:
        found = world(f"op-chains/{CHAIN}")
        (tmp_path / "ours").mkdir()  # nothing else runs yet
        async with (
            following(tmp_path, CHAIN) as (_, _, theirs),
            recorded_node(tmp_path / "ours", found, now=0.0) as ours,
        ):
            last = found["expected"]["safe_after"][-1]["safe_l2"]["number"]
            await theirs.until_safe(last)
            their_config = await theirs.rpc.call("optimism_rollupConfig")
            their_config.pop("protocol_versions_address")  # op-node v1.19.6 has no such key any more
            assert await ours.result("optimism_rollupConfig") == their_config
            our_status, their_status = (
                await ours.result("optimism_syncStatus"),
                await theirs.rpc.call("optimism_syncStatus"),
            )
            assert list(our_status) == list(their_status)
            assert shape(our_status) == shape(their_status)
            for key in set(their_status) - ABSENT:
                assert our_status[key] == their_status[key], key
            for number in (0, 1, last // 2, last):
                our_output = await ours.result("optimism_outputAtBlock", hex(number))
                their_output = await theirs.rpc.call("optimism_outputAtBlock", hex(number))
                assert list(our_output) == list(their_output)
                assert {**our_output, "syncStatus": None} == {**their_output, "syncStatus": None}
            for method, params in (
                ("optimism_outputAtBlock", [hex(last + 100)]),
                ("optimism_outputAtBlock", [1]),
                ("optimism_outputAtBlock", []),
                ("optimism_noSuchMethod", []),
            ):
                assert (await ours.error(method, *params))["code"] == await refusal(theirs.rpc, method, *params)

    trio.run(main)


async def refusal(rpc: Rpc, method: str, *params: Any) -> int:
    """The code with which a call is refused."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    async with httpx.AsyncClient(trust_env=False) as client:
        return int((await client.post(rpc.url, json=body)).json()["error"]["code"])
