"""op-geth and the embedded engine in each other's shadow over recorded chains; op-geth beside one that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from kroma_core.node.shadow.bundle import read_bundle
from tests.peers.l2 import op_geth
from tests.peers.node import PYEVM, engine_rpc, replayed
from tests.peers.rollup import read_vector, recorded_rollup
from tests.shadow.planted import plant
from tests.vectors.unit_files import vectors_root

CHAINS = ("plain-jovian", "upgrade-bedrock-to-jovian", "reorg-delta", "invalid-tx-holocene-1", "hostile-jovian-1")
"""All upgrades that this op-geth has, abandoned branches, and what an engine refuses."""


def recording(request: pytest.FixtureRequest, name: str) -> Path:
    return vectors_root(request.config) / "op-chains" / f"{name}.json.xz"


@pytest.mark.parametrize("leads", ["op-geth", "pyevm"])
@pytest.mark.parametrize("name", CHAINS)
def test_op_geth_and_the_embedded_engine_agree(
    name: str, leads: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = recording(request, name)
    world = read_vector(path)

    async def main() -> None:
        async with op_geth(tmp_path / "op-geth", recorded_rollup(world)) as engine:
            pair = [engine_rpc(engine), {**PYEVM, "store": "memory"}]
            leader, follower = pair if leads == "op-geth" else reversed(pair)
            table = {**leader, "shadow": [follower]}
            code, told, errors = await replayed(tmp_path, path, table, seconds=600, shadow={"queue": 100_000})
            assert (code, told.get("difference"), told.get("followers_told"), errors) == (0, None, [], "")
            [compared] = told["compared_steps"].values()
            assert compared >= len(world["expected"]["blocks"])

    trio.run(main)


def test_op_geth_finds_a_precompile_price_that_is_wrong(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(request, "plain-jovian")
    planted = plant(tmp_path / "planted")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(planted), os.environ.get("PYTHONPATH", "")]))

    async def main() -> None:
        async with op_geth(tmp_path / "op-geth", recorded_rollup(read_vector(path))) as engine:
            table = {**engine_rpc(engine), "shadow": [{"kind": "prices"}]}
            code, _, _ = await replayed(tmp_path, path, table, seconds=600, shadow={"queue": 100_000})
            assert code == 1
            [bundle] = tmp_path.rglob("engine-85-prices-*")
            values = {one.field: (one.expected, one.got) for one in read_bundle(bundle).divergence.differences}
            assert values["gas_used"] == ("117564", "117565")

    trio.run(main)
