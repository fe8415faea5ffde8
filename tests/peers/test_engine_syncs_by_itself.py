"""Execution-layer sync: shown an unsafe block far ahead, a real op-geth fetches the chain from another and we go on."""

from __future__ import annotations

from pathlib import Path

import trio

from kroma_core.codec.payloads import envelope_to_json
from kroma_core.recording import ExpectedBlock, open_recording
from tests.peers.l2 import OpGeth, op_geth
from tests.peers.node import beacon, engine_rpc, kroma, kroma_serve, l1_rpc, replayed, verifier
from tests.peers.programs import free_port
from tests.peers.rollup import CHAINS, read_vector, recorded_rollup
from tests.peers.rpc import shown_with, until

RECORDING = CHAINS / "plain-jovian.json.xz"


def last_block() -> ExpectedBlock:
    with open_recording(RECORDING) as recording:
        assert recording.expected is not None
        found = recording.expected.block(recording.expected.block_count)
    assert found is not None
    return found


async def made_peers(one: OpGeth, other: OpGeth) -> None:
    node = (await one.rpc.call("admin_nodeInfo"))["enode"]
    await other.rpc.call("admin_addPeer", node)
    await until(lambda: other.rpc.call("admin_peers"), lambda peers: bool(peers), seconds=30, what="op-geth has a peer")


def test_an_engine_that_is_shown_a_block_far_ahead_fetches_the_chain_and_derivation_goes_on(tmp_path: Path) -> None:
    world, last = read_vector(RECORDING), last_block()
    rollup, steps = recorded_rollup(world), len(world["timeline"])
    port = free_port()

    async def main() -> None:
        async with (
            op_geth(tmp_path / "full", rollup, p2p=True, name="op-geth-full") as full,
            op_geth(tmp_path / "fresh", rollup, p2p=True, name="op-geth-fresh") as fresh,
            kroma_serve(tmp_path / "l1", RECORDING, "--step") as l1,
        ):
            code, _, said = await replayed(tmp_path / "replay", RECORDING, engine_rpc(full), seconds=100)
            assert code == 0, said
            await made_peers(full, fresh)
            profile = verifier(
                tmp_path / "node",
                rollup,
                l1=l1_rpc(l1.rpc.url),
                engine=engine_rpc(fresh),
                blobs=[beacon(l1.beacon)],
                node={"sync_mode": "execution-layer"},
                rpc={"port": port, "admin": True},
            )
            async with kroma(tmp_path / "node", profile) as node:
                with shown_with(node.running, fresh.running):
                    assert await fresh.rpc.number() == 0
                    await node.rpc.call("admin_postUnsafePayload", envelope_to_json(last.payload))
                    synced = await node.until_safe(last.number)
                    assert synced["unsafe_l2"]["hash"] == "0x" + last.hash.hex()
                    assert (await fresh.rpc.block("latest"))["hash"] == "0x" + last.hash.hex()
                    for _ in range(steps - 1):
                        await l1.rpc.call("kroma_step")
                    head = await l1.rpc.block("latest")
                    done = await until(
                        node.status,
                        lambda status: bool(status["current_l1"]["hash"] == head["hash"]),
                        seconds=60,
                        what="all of L1 is read",
                    )
                    assert done["safe_l2"]["hash"] == "0x" + last.hash.hex()

    trio.run(main)
