"""Blobs that op-batcher posted to an L1 with real blob transactions: our node derives from them what op-node made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.peers.beacon import beacon_api
from tests.peers.l1 import geth_dev
from tests.peers.l2 import op_geth
from tests.peers.node import PYEVM, beacon, engine_rpc, kroma_to_its_end, l1_rpc, verifier
from tests.peers.scenarios import deposit, posting, sequenced

BLOCKS = 320
"""The L1's second block is `GENESIS_AGE` younger than its first: from L2 block 300 on origins move."""
WAYS = {"pyevm": "blobs", "op-geth": "blob_sidecars"}
"""The engine, and the part of the beacon API that is there for it."""


@attrs.frozen(kw_only=True)
class Scenario:
    """The safe head that op-node reached, and ours by engine; what our nodes asked the beacon API for."""

    reference: dict[str, Any]
    origin: int
    ours: dict[str, dict[str, Any]]
    asked: dict[str, list[str]]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return trio.run(_scenario, tmp_path_factory.mktemp("blobs"))


async def _scenario(folder: Path) -> Scenario:
    async with geth_dev(folder / "l1") as l1, beacon_api(l1.rpc) as api, sequenced(folder, l1, beacon=api) as world:
        await deposit(l1)
        nonce = await world.use(0, transactions=20)
        await world.sequencer.until_unsafe(BLOCKS // 2)
        await world.use(nonce, transactions=20)
        await world.sequencer.until_unsafe(BLOCKS)
        last = await world.stop()
        number = int(last["number"], 16)
        async with posting(world, to=api.url, blobs=True):
            status = await world.sequencer.until_safe(number)
        ours: dict[str, dict[str, Any]] = {}
        asked: dict[str, list[str]] = {}
        for engine, endpoint in WAYS.items():
            api.asked.clear()
            api.without = frozenset({"blobs", "blob_sidecars"} - {endpoint})
            async with op_geth(folder / engine / "op-geth", world.rollup) as geth:
                profile = verifier(
                    folder / engine,
                    world.rollup,
                    l1=l1_rpc(l1.url),
                    engine=PYEVM if engine == "pyevm" else engine_rpc(geth),
                    blobs=[beacon(api.url)],
                )
                ours[engine] = await kroma_to_its_end(folder / engine, profile, stop_after=number, seconds=120)
            asked[engine] = list(api.asked)
        head = {"number": number, "hash": last["hash"]}
        return Scenario(reference=head, origin=status["safe_l2"]["l1origin"]["number"], ours=ours, asked=asked)


@pytest.mark.parametrize("engine", WAYS)
def test_safe_head_is_that_of_op_node(scenario: Scenario, engine: str) -> None:
    assert scenario.origin > 0
    assert scenario.ours[engine]["safe"] == scenario.reference


@pytest.mark.parametrize("engine", WAYS)
def test_blobs_come_from_the_endpoint_that_is_there(scenario: Scenario, engine: str) -> None:
    assert any(f"/{WAYS[engine]}/" in path for path in scenario.asked[engine])
