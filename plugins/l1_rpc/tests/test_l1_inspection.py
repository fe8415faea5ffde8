"""What L1 servers say of themselves before a node starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio
from kroma_l1_rpc.offers import RpcSettings, inspect

from kroma_core.api import Facts, PluginContext, Secret
from kroma_core.forks import Fork
from kroma_core.testing.rpc_node import Body, Hang, RpcNode, Status
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on


def inspected(l1: ScriptedL1, nodes: Sequence[RpcNode], folder: Path) -> list[Facts]:
    chain = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE))
    context = PluginContext(chain=chain, data_dir=folder, clock=lambda: 0.0, emit=lambda event: None)

    async def main() -> list[Facts]:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                urls: list[str | Secret] = [await nursery.start(node.serve) for node in nodes]
                found = await inspect(RpcSettings(urls=(*urls, Secret("http://127.0.0.1:1/KEY")), timeout=0.3), context)
                nursery.cancel_scope.cancel()
        return list(found)

    return trio.run(main)


def test_every_server_tells_chain_genesis_and_head_and_a_silent_one_why(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    l1.mine()
    good, refusing, odd, hanging = (RpcNode(l1=l1) for _ in range(4))
    refusing.plant = lambda method, params: Status(500)
    odd.plant = lambda method, params: Body(b"[]")
    hanging.plant = lambda method, params: Hang()
    one, two, three, four, nobody = inspected(l1, [good, refusing, odd, hanging], tmp_path)
    genesis = rollup_on(l1, forks=all_forks_until(Fork.ECOTONE)).rollup
    assert (one.chain_id, one.genesis, one.head_time, one.silent, one.problems) == (
        genesis.l1_chain_id,
        genesis.genesis.l1.hash,
        l1.tip.header.timestamp,
        None,
        (),
    )
    assert "expected HTTP status 200, got 500" in (two.silent or "")
    assert three.silent is not None
    assert "no answer within 0.3 s" in (four.silent or "")
    assert nobody.server == "http://127.0.0.1:1"
    assert "KEY" not in repr(nobody)


def test_an_l1_without_the_block_at_which_the_rollup_begins_is_told(tmp_path: Path) -> None:
    l1 = ScriptedL1()
    node = RpcNode(l1=l1)
    node.change = {"eth_getBlockByNumber": lambda found: None}
    said = inspected(l1, [node], tmp_path)[0]
    assert said.problems == (f"it has no block {l1.genesis.header.number}, at which the rollup begins",)
