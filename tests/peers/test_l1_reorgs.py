"""A live anvil that reorganises 1, 5 and 64 blocks deep: our nodes, and op-node, come to the same chain each time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.peers.l1 import Anvil, anvil
from tests.peers.l2 import op_geth
from tests.peers.node import PYEVM, Kroma, engine_rpc, kroma, l1_rpc, verifier
from tests.peers.rpc import shown_with, until
from tests.peers.scenarios import World, at_rest, deposit, posting, sequenced

DEPTHS = (1, 5, 64)
ENGINES = ("pyevm", "op-geth")


@attrs.frozen(kw_only=True)
class Abandoned:
    """The L1 head that a reorg replaced, and how many blocks really changed."""

    number: int
    hash: str
    depth: int


@attrs.frozen(kw_only=True)
class Scenario:
    """Safe heads that were abandoned and reached, by depth; sync status at the end; what our nodes logged."""

    abandoned: dict[int, Abandoned]
    agreed: dict[int, dict[str, dict[str, Any]]]
    reference: dict[str, Any]
    ours: dict[str, dict[str, Any]]
    logs: dict[str, str]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return trio.run(_scenario, tmp_path_factory.mktemp("reorgs"))


async def _scenario(folder: Path) -> Scenario:
    abandoned: dict[int, Abandoned] = {}
    agreed: dict[int, dict[str, dict[str, Any]]] = {}
    async with AsyncExitStack() as stack:
        l1 = await stack.enter_async_context(anvil(folder / "l1", epoch=64))
        await l1.mine(290)
        world = await stack.enter_async_context(sequenced(folder, l1))
        nodes = await stack.enter_async_context(_our_nodes(world, l1))
        await world.sequencer.until_unsafe(100)
        async with posting(world):
            await l1.keep_mining(1)
            safe = 100
            for depth in DEPTHS:
                await deposit(l1)
                safe = await _all_beyond(safe, world, nodes)
                await l1.keep_mining(0)
                head = -1
                while head != (head := await l1.rpc.number()):  # one more block may have been on its way
                    for node in (world.sequencer, *nodes.values()):
                        await at_rest(node, l1)
                before = [(await l1.rpc.block(number))["hash"] for number in range(head - depth + 1, head + 1)]
                await l1.reorg(depth)
                after = [(await l1.rpc.block(number))["hash"] for number in range(head - depth + 1, head + 1)]
                # an empty block at the bottom comes out as it was
                changed = sum(old != new for old, new in zip(before, after, strict=True))
                assert changed
                abandoned[depth] = Abandoned(number=head, hash=before[-1], depth=changed)
                await l1.keep_mining(1)
                safe = await _all_beyond(safe + 2, world, nodes)
                agreed[depth] = {name: (await node.status())["safe_l2"] for name, node in nodes.items()}
            last = int((await world.stop())["number"], 16)
            await world.sequencer.until_safe(last)
        await l1.keep_mining(0)
        return Scenario(
            abandoned=abandoned,
            agreed=agreed,
            reference=await at_rest(world.sequencer, l1),
            ours={name: await at_rest(node, l1) for name, node in nodes.items()},
            logs={name: node.running.log.read_text() for name, node in nodes.items()},
        )


async def _all_beyond(number: int, world: World, nodes: Mapping[str, Kroma]) -> int:
    """Wait until every safe head is above `number`, on the sequencer's chain, and on L1's branch.

    The sequencer's is returned.
    """
    safe = (await world.sequencer.until_safe(number + 1))["safe_l2"]["number"]

    async def canonical(node: Kroma) -> bool:
        head = (await node.status())["safe_l2"]
        origin = head["l1origin"]
        same_l2 = (await world.engine.rpc.block(head["number"]))["hash"] == head["hash"]
        same_l1 = (await world.l1.rpc.block(origin["number"]))["hash"] == origin["hash"]
        return bool(head["number"] > number) and same_l2 and same_l1

    for name, node in nodes.items():
        await until(lambda node=node: canonical(node), bool, seconds=90, what=f"ours on {name} above {number}")  # type: ignore[misc]  # a default has no type
    return int(safe)


@asynccontextmanager
async def _our_nodes(world: World, l1: Anvil) -> AsyncIterator[dict[str, Kroma]]:
    one, other = world.folder / "ours-on-pyevm", world.folder / "ours-on-op-geth"
    async with op_geth(other / "op-geth", world.rollup) as geth:
        embedded = verifier(one, world.rollup, l1=l1_rpc(l1.url), engine=PYEVM)
        external = verifier(other, world.rollup, l1=l1_rpc(l1.url), engine=engine_rpc(geth))
        async with kroma(one, embedded) as pyevm, kroma(other, external) as rpc:
            with shown_with(pyevm.running, rpc.running):
                yield {"pyevm": pyevm, "op-geth": rpc}


@pytest.mark.parametrize("engine", ENGINES)
def test_in_the_end_the_sync_status_is_that_of_op_node(scenario: Scenario, engine: str) -> None:
    assert scenario.ours[engine] == scenario.reference


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_reorg_is_told_with_the_block_that_was_left(scenario: Scenario, engine: str, depth: int) -> None:
    left = scenario.abandoned[depth]
    told = [line.partition(" gives way")[0][17:] for line in scenario.logs[engine].splitlines() if "L1 reorg, " in line]
    assert f"L1 reorg, {left.depth} deep: {left.number} ({left.hash})" in told
