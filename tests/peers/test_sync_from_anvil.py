"""A chain that op-node sequenced and op-batcher posted to anvil: our node comes to the same, field for field.

One scenario for the module: nothing moves any more when our nodes, and a second op-node, sync from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.peers.l1 import Anvil, anvil
from tests.peers.l2 import op_geth, with_genesis_hash
from tests.peers.node import PYEVM, Kroma, engine_rpc, kroma, l1_rpc, verifier
from tests.peers.programs import free_port
from tests.peers.rollup import rollup_on
from tests.peers.rpc import Rpc, RpcFailed, shown_with
from tests.peers.scenarios import World, at_rest, eventful_blocks, posted_on_anvil, sequenced

BLOCKS = 150
CHAINS = {"plain-jovian": True, "upgrade-bedrock-to-jovian": False}
"""Recorded worlds whose rules the rollup has, and whether batches are span batches: the second begins before those."""
ENGINES = ("pyevm", "op-geth")
OUTPUTS = (0, 1, 57, 140)


@attrs.frozen(kw_only=True)
class Told:
    """What a rollup node says at rest."""

    status: dict[str, Any]
    outputs: dict[int, Any]
    rollup_config: dict[str, Any]
    safe_heads: dict[int, Any]
    blocks: dict[int, tuple[Any, Any]]
    """Some blocks with their transactions, and their receipts, as the engine's public side gives them."""


@attrs.frozen(kw_only=True)
class Scenario:
    """What the reference says, and what ours does on each engine."""

    reference: Told
    ours: dict[str, Told]


@pytest.fixture(scope="module", params=CHAINS)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return trio.run(_scenario, tmp_path_factory.mktemp("anvil"), request.param)


async def _scenario(folder: Path, like: str) -> Scenario:
    async with AsyncExitStack() as stack:
        l1 = await stack.enter_async_context(anvil(folder / "l1"))
        rollup = await with_genesis_hash(await rollup_on(l1, like), folder / "genesis")
        await eventful_blocks(l1, blocks=250)
        world = await stack.enter_async_context(sequenced(folder, l1, rollup))
        reference = await posted_on_anvil(world, l1, blocks=BLOCKS, span_batches=CHAINS[like])
        last = reference["safe_l2"]["number"]
        ours: dict[str, Told] = {}
        for engine in ENGINES:
            async with _our_node(world, l1, engine) as (node, blocks):
                await node.until_safe(last)
                await at_rest(node, l1)
                ours[engine] = await _told(node.rpc, blocks, last)
        return Scenario(reference=await _told(world.sequencer.rpc, world.engine.rpc, last), ours=ours)


@asynccontextmanager
async def _our_node(world: World, l1: Anvil, engine: str) -> AsyncIterator[tuple[Kroma, Rpc]]:
    folder = world.folder / f"ours-on-{engine}"
    async with AsyncExitStack() as stack:
        if engine == "op-geth":
            geth = await stack.enter_async_context(op_geth(folder / "op-geth", world.rollup))
            profile = verifier(folder, world.rollup, l1=l1_rpc(l1.url), engine=engine_rpc(geth))
            blocks = geth.rpc
        else:
            port = free_port()
            eth = {"port": port, "ws_port": free_port()}
            profile = verifier(folder, world.rollup, l1=l1_rpc(l1.url), engine=PYEVM, eth=eth)
            blocks = Rpc(f"http://127.0.0.1:{port}")
        node = await stack.enter_async_context(kroma(folder, profile))
        stack.enter_context(shown_with(node.running))
        yield node, blocks


async def _told(node: Rpc, engine: Rpc, last: int) -> Told:
    status = await node.call("optimism_syncStatus")
    head = status["head_l1"]["number"]
    return Told(
        status=status,
        outputs={number: await node.call("optimism_outputAtBlock", hex(number)) for number in (*OUTPUTS, last)},
        rollup_config=await node.call("optimism_rollupConfig"),
        safe_heads={number: await _safe_head(node, number) for number in (0, 120, head - 1, head)},
        blocks={number: await _block(engine, number) for number in (*range(0, last, 9), last)},
    )


async def _block(engine: Rpc, number: int) -> tuple[Any, Any]:
    return await engine.block(number, transactions=True), await engine.call("eth_getBlockReceipts", hex(number))


async def _safe_head(node: Rpc, number: int) -> Any:
    try:
        return await node.call("optimism_safeHeadAtL1Block", hex(number))
    except RpcFailed:
        return "none"


@pytest.mark.parametrize("engine", ENGINES)
def test_blocks_and_receipts_are_those_of_op_geth_field_for_field(scenario: Scenario, engine: str) -> None:
    reference = scenario.reference.blocks
    assert any(block["transactions"][1:] for block, _ in reference.values())
    assert scenario.ours[engine].blocks == reference


@pytest.mark.parametrize("engine", ENGINES)
def test_sync_status_at_rest_is_that_of_op_node_field_for_field(scenario: Scenario, engine: str) -> None:
    assert scenario.reference.status["safe_l2"]["number"] >= BLOCKS
    assert scenario.ours[engine].status == scenario.reference.status


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_those_of_op_node_field_for_field(scenario: Scenario, engine: str) -> None:
    assert scenario.ours[engine].outputs == scenario.reference.outputs


@pytest.mark.parametrize("engine", ENGINES)
def test_safe_heads_by_l1_block_are_those_of_op_node(scenario: Scenario, engine: str) -> None:
    assert scenario.ours[engine].safe_heads == scenario.reference.safe_heads
    assert any(found != "none" for found in scenario.reference.safe_heads.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_rollup_config_is_that_of_op_node(scenario: Scenario, engine: str) -> None:
    reference = dict(scenario.reference.rollup_config)
    assert reference.pop("protocol_versions_address") == "0x" + 20 * "00"  # later versions of op-node have it no more
    assert scenario.ours[engine].rollup_config == reference
