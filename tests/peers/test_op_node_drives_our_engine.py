"""An unmodified op-node on the embedded engine: deriving recorded chains, and making blocks of its own."""

from __future__ import annotations

import time
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.jsonrpc.jwt import JwtSecret
from tests.peers.l1 import anvil
from tests.peers.l2 import EngineAt, op_batcher, op_geth, op_node, with_genesis_hash
from tests.peers.node import engine_of_ours, kroma_serve
from tests.peers.programs import free_port
from tests.peers.rollup import CHAINS, USER, Rollup, read_vector, recorded_rollup, rollup_on
from tests.peers.rpc import Rpc, shown_with, until
from tests.peers.scenarios import CONTRACTS, deposit


def asked(engine: EngineAt) -> Rpc:
    """The engine's authenticated port."""
    secret = JwtSecret.read(engine.jwt)
    return Rpc(engine.engine_url, lambda: {"Authorization": f"Bearer {secret.token(time.time())}"})


@pytest.mark.parametrize("name", ["plain-bedrock", "blobs-ecotone", "upgrade-bedrock-to-jovian", "blobs-jovian"])
def test_op_node_derives_a_recording_on_our_engine_to_its_recorded_head(name: str, tmp_path: Path) -> None:
    async def main() -> None:
        path = CHAINS / f"{name}.json.xz"
        world = read_vector(path)
        async with kroma_serve(tmp_path / "l1", path) as l1:
            rollup = recorded_rollup(world)
            expected = world["expected"]["safe_after"][-1]["safe_l2"]
            async with (
                engine_of_ours(tmp_path / "el", rollup) as engine,
                op_node(
                    tmp_path / "cl", rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True
                ) as node,
            ):
                with shown_with(l1.running, node.running):
                    status = await node.until_safe(expected["number"])
                    assert status["safe_l2"]["hash"] == expected["hash"]
                    block = await asked(engine).block("safe")
                    assert block["hash"] == expected["hash"]

    trio.run(main)


def test_op_node_goes_through_reorgs_on_our_engine(tmp_path: Path) -> None:
    async def main() -> None:
        path = CHAINS / "reorg-ecotone.json.xz"
        world = read_vector(path)
        async with kroma_serve(tmp_path / "l1", path, "--step") as l1:
            rollup = recorded_rollup(world)
            async with (
                engine_of_ours(tmp_path / "el", rollup) as engine,
                op_node(
                    tmp_path / "cl", rollup=rollup, l1=l1.rpc.url, engine=engine, beacon=l1.beacon, trust_l1=True
                ) as node,
            ):
                for step, expected in enumerate(world["expected"]["safe_after"]):
                    if step:
                        await l1.rpc.call("kroma_step")
                    with shown_with(node.running):
                        await until(
                            node.status,
                            lambda status, safe=expected["safe_l2"]["hash"]: bool(status["safe_l2"]["hash"] == safe),  # type: ignore[misc]  # a default has no type
                            seconds=60,
                            what=f"the safe head after step {step}",
                        )

    trio.run(main)


def test_op_geth_agrees_with_what_op_node_makes_on_our_engine(tmp_path: Path) -> None:
    """Sequencer on our engine, with transactions of its pool; batches of op-batcher; a verifier on op-geth."""

    async def main() -> None:
        async with anvil(tmp_path / "l1") as l1:
            rollup = await with_genesis_hash(await rollup_on(l1), tmp_path / "genesis")
            public = free_port()
            eth = {"port": public, "ws_port": free_port(), "miner": True}
            async with (
                engine_of_ours(tmp_path / "ours", rollup, eth=eth) as engine,
                op_node(tmp_path / "sequencer", rollup=rollup, l1=l1.url, engine=engine, sequencer=True) as sequencer,
            ):
                ours = Rpc(f"http://127.0.0.1:{public}")
                with shown_with(sequencer.running):
                    await deposit(l1)
                    await l1.mine(3)
                    await sequencer.until_unsafe(10)
                    hashes = [await ours.call("eth_sendRawTransaction", raw) for raw in transfers(rollup, 9)]
                    for sent in hashes:
                        receipt = await until(
                            lambda sent=sent: ours.call("eth_getTransactionReceipt", sent),  # type: ignore[misc]  # a default has no type
                            lambda found: found is not None,
                            seconds=30,
                            what=f"inclusion of {sent}",
                        )
                        assert receipt["status"] == "0x1", receipt
                    last = await ours.block(await sequencer.stop_sequencing())

                async with (
                    op_geth(tmp_path / "op-geth", rollup) as verifying,
                    op_node(tmp_path / "verifier", rollup=rollup, l1=l1.url, engine=verifying) as verifier,
                ):
                    with shown_with(sequencer.running, verifier.running):
                        poster = attrs.evolve(verifying, rpc=ours)
                        async with op_batcher(
                            tmp_path / "batcher", l1=l1.url, engine=poster, node=sequencer
                        ) as batcher:
                            await l1.keep_mining(1)
                            status = await verifier.until_safe(int(last["number"], 16))
                            batcher.running.check()
                        assert status["safe_l2"]["hash"] == last["hash"]

    trio.run(main)


def transfers(rollup: Rollup, count: int) -> list[str]:
    """Transactions of the user, to contracts."""
    return [
        "0x"
        + USER.dynamic_fee(
            chain_id=rollup.chain_id, nonce=nonce, to=CONTRACTS[nonce % 3], data=bytes(128), gas=300_000, value=nonce
        ).hex()
        for nonce in range(count)
    ]
