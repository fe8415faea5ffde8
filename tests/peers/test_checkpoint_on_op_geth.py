"""A start from a trusted block on a real op-geth: on a copied data directory, and on one without the state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import trio

from tests.peers.l2 import op_geth
from tests.peers.node import KROMA, engine_rpc, replayed, toml_text, verifier
from tests.peers.programs import running
from tests.peers.rollup import CHAINS, Rollup, read_vector, recorded_rollup

RECORDING = CHAINS / "plain-jovian.json.xz"
CASSETTE = {"kind": "cassette", "path": str(RECORDING)}


async def ran(folder: Path, rollup: Rollup, engine: dict[str, Any], checkpoint: str) -> tuple[int, str]:
    """Exit code and messages of `kroma run` on an engine, with the recorded L1, which ends."""
    folder.mkdir()
    profile = verifier(folder, rollup, l1=CASSETTE, blobs=[CASSETTE], engine=engine, node={"checkpoint": checkpoint})
    (folder / "node.toml").write_text(toml_text(profile))
    async with running("kroma", [KROMA, "run", folder / "node.toml"], folder) as started:
        return await started.ended(100), started.log.read_text()


async def checked(folder: Path) -> tuple[int, str]:
    """Exit code and messages of `kroma check --live` of the same node."""
    async with running("check", [KROMA, "check", "--live", folder / "node.toml"], folder) as started:
        return await started.ended(60), started.log.read_text()


def test_derivation_begins_above_a_block_of_a_copied_data_directory(tmp_path: Path) -> None:
    world = read_vector(RECORDING)
    rollup, blocks = recorded_rollup(world), world["expected"]["blocks"]
    trusted, last = blocks[len(blocks) // 2], blocks[-1]

    async def main() -> None:
        async with op_geth(tmp_path / "full", rollup) as full:
            code, _, said = await replayed(tmp_path / "replay", RECORDING, engine_rpc(full), seconds=100)
            assert code == 0, said
        shutil.copytree(tmp_path / "full", tmp_path / "copy")
        async with op_geth(tmp_path / "copy", rollup, name="op-geth-copy") as copy:
            code, said = await ran(tmp_path / "node", rollup, engine_rpc(copy), trusted["hash"])
            assert code == 0, said
            assert f"above L2 block {trusted['number']} ({trusted['hash']})" in said
            assert f"safe {last['number']} ({last['hash']})" in said
            code, said = await checked(tmp_path / "node")
            assert code == 0, said
            assert f"engine rpc: it has the checkpoint, L2 block {trusted['number']} ({trusted['hash']})" in said
            wrong = "0x" + "17" * 32
            code, said = await ran(tmp_path / "wrong", rollup, engine_rpc(copy), wrong)
            assert code == 1
            assert f"checkpoint {wrong}: the engine does not have that block" in said

    trio.run(main)


def test_a_block_whose_state_op_geth_has_pruned_is_refused(tmp_path: Path) -> None:
    world = read_vector(RECORDING)
    rollup, blocks = recorded_rollup(world), world["expected"]["blocks"]
    trusted = blocks[-6]

    async def main() -> None:
        async with op_geth(tmp_path / "geth", rollup, archive=False) as engine:
            code, _, said = await replayed(tmp_path / "replay", RECORDING, engine_rpc(engine), seconds=100)
            assert code == 0, said
        async with op_geth(tmp_path / "geth", rollup, archive=False, name="op-geth-again") as engine:
            head = await engine.rpc.block("latest")
            assert head["hash"] == blocks[-1]["hash"]
            code, said = await ran(tmp_path / "node", rollup, engine_rpc(engine), trusted["hash"])
            assert code == 1
            assert "but not the state after it" in said
            code, said = await checked(tmp_path / "node")
            assert code == 1
            assert "but not the state after it" in said

    trio.run(main)
