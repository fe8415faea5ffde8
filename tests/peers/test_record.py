"""What `kroma record` writes while it follows a live L1 is replayed elsewhere, offline, to the same heads."""

from __future__ import annotations

import re
from pathlib import Path

import trio

from tests.peers.beacon import beacon_api
from tests.peers.l1 import anvil, geth_dev
from tests.peers.l2 import op_geth
from tests.peers.node import PYEVM, beacon, engine_rpc, kroma_record, l1_rpc, replayed, verifier
from tests.peers.programs import Running
from tests.peers.rpc import shown_with, until
from tests.peers.scenarios import World, at_rest, deposit, eventful_blocks, posting, sequenced

REORG = "WARNING L1 reorg"
FEW = 50
"""op-batcher loads a hundred blocks at a time, and may never post them where few more came and none follow."""


async def told(recorder: Running, safe: int, *, after: str = "", seconds: float = 90) -> None:
    """Wait until the recorder has logged a safe head that is as high, after it logged something else."""

    async def highest() -> int:
        recorder.check()
        log = recorder.log.read_text()
        if after:
            _, found, log = log.rpartition(after)
            if not found:
                return 0
        return max((int(number) for number in re.findall(r" safe (\d+) \(", log)), default=0)

    with shown_with(recorder):
        await until(highest, lambda number: number >= safe, seconds=seconds, what=f"safe block {safe} recorded")


async def sequenced_from(world: World, l1_number: int) -> None:
    """Wait until the sequencer builds on L1 blocks beyond one: blocks on an abandoned branch are gone then."""
    await until(
        world.sequencer.status,
        lambda status: bool(status["unsafe_l2"]["l1origin"]["number"] > l1_number),
        seconds=120,
        what=f"an L2 block that builds on an L1 block beyond {l1_number}",
    )


async def assert_replayed(folder: Path, recording: Path, head: dict[str, object]) -> None:
    code, report, errors = await replayed(folder, recording, seconds=120)
    assert (code, report.get("difference"), report.get("errors"), errors) == (0, None, None, "")
    assert report["compared"]
    assert report["head"] == head


def test_a_recording_of_a_live_anvil_with_a_reorg_is_replayed_to_the_safe_head_of_op_node(tmp_path: Path) -> None:
    async def main() -> None:
        recording = tmp_path / "anvil.recording"
        async with anvil(tmp_path / "l1") as l1:
            await eventful_blocks(l1, blocks=290)
            async with sequenced(tmp_path, l1) as world:
                await world.sequencer.until_unsafe(150)
                profile = verifier(tmp_path / "ours", world.rollup, l1=l1_rpc(l1.url), engine=PYEVM)
                async with kroma_record(tmp_path / "ours", profile, recording) as recorder, posting(world):
                    await l1.keep_mining(1)
                    await told(recorder, (await world.sequencer.until_safe(150))["safe_l2"]["number"])
                    await l1.keep_mining(0)
                    await deposit(l1)
                    await l1.reorg(3)
                    branch = await l1.rpc.number()
                    await l1.keep_mining(1)
                    await sequenced_from(world, branch)
                    last = await world.stop()
                    number = int(last["number"], 16)
                    await world.sequencer.until_safe(number)
                    await l1.keep_mining(0)
                    await at_rest(world.sequencer, l1)
                    await told(recorder, number, after=REORG)
        await assert_replayed(tmp_path / "replay", recording, {"number": number, "hash": last["hash"]})

    trio.run(main)


def test_a_recording_with_blobs_made_on_op_geth_is_replayed_on_the_embedded_engine(tmp_path: Path) -> None:
    async def main() -> None:
        recording = tmp_path / "blobs.recording"
        async with geth_dev(tmp_path / "l1") as l1, beacon_api(l1.rpc) as api:
            await deposit(l1)
            async with sequenced(tmp_path, l1, beacon=api) as world:
                await world.use(0, transactions=20)
                await world.sequencer.until_unsafe(FEW)
                last = await world.stop()
                number = int(last["number"], 16)
                async with posting(world, to=api.url, blobs=True):
                    await world.sequencer.until_safe(number)
                folder = tmp_path / "ours"
                async with op_geth(folder / "op-geth", world.rollup) as geth:
                    profile = verifier(
                        folder, world.rollup, l1=l1_rpc(l1.url), engine=engine_rpc(geth), blobs=[beacon(api.url)]
                    )
                    head = str(await l1.rpc.number())
                    async with kroma_record(folder, profile, recording, "--until", head) as recorder:
                        assert await recorder.ended(60) == 0, recorder.tail()
        await assert_replayed(tmp_path / "replay", recording, {"number": number, "hash": last["hash"]})

    trio.run(main)
