"""The L1 that a node follows is recorded as it is shown, and replays to what the node derived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from kroma_core.api import Missing, Role
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.derive.frames import encode_frames
from kroma_core.errors import ConfigError, CriticalError, TemporaryError
from kroma_core.events import Event, Retrying
from kroma_core.forks import Fork
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.l2 import Payload
from kroma_core.node.assemble import Parts
from kroma_core.node.isolation.derivation import InThisProcess
from kroma_core.node.recorder.recorder import Recorder
from kroma_core.node.recorder.tape import Tape
from kroma_core.node.replay import Replay, ReplayResult
from kroma_core.node.retry import RetryPolicy
from kroma_core.recording import RecordingWriter, open_recording, verify
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_recording import L1_CHAIN_CONFIG
from kroma_core.types import BlockId
from tests.actions.actors import ALICE, BOB, World, blob, blob_codec, calldata, new_engine

cassette = pytest.importorskip("kroma_l1_cassette.l1_source", reason="recordings are played by the plugin l1_cassette")
cassette_blobs = pytest.importorskip("kroma_l1_cassette.blob_source", reason="and their blobs too")


@attrs.define
class Taking:
    """A recording that is being made of a world's L1."""

    world: World
    writer: RecordingWriter
    parts: Parts
    recorder: Recorder
    events: list[Event]
    moved: trio.Event = attrs.field(factory=trio.Event)
    """Set, and replaced by another, with each step."""

    async def until_steps(self, count: int) -> None:
        while self.writer.steps < count:
            await self.moved.wait()

    @property
    def path(self) -> Path:
        return self.writer.path

    def finish(self) -> None:
        self.writer.go_back()
        self.writer.finish()


@asynccontextmanager
async def taking(world: World, folder: Path, until: int | None = None) -> AsyncIterator[Taking]:
    """A recorder that follows the world's L1 in the background, up to a block."""
    events: list[Event] = []
    path = folder / "l1.krec"
    with RecordingWriter(
        path,
        rollup_config=rollup_config_to_json(world.config.rollup),
        l1_chain_config={"chainId": world.l1.chain_id, **L1_CHAIN_CONFIG},
        lasting=True,
    ) as writer:
        writer.keep()
        recorder = Recorder(
            config=world.config,
            tape=Tape(writer=writer),
            patience=RetryPolicy(first=1.0),
            resets_without_progress=None,
            emit=events.append,
        )
        blobs = recorder.wrap(Role.BLOBS, world.l1)
        parts = Parts(
            l1=recorder.wrap(Role.L1, world.l1),
            blobs=(blobs,),
            data=(calldata.CallData(), blob.BlobData([blobs])),
            engine=recorder.wrap(Role.ENGINE, new_engine(world.config)),
            transports=(),
            proofs=(),
            derivations=InThisProcess(),
            emit=events.append,
        )
        take = Taking(world, writer, parts, recorder, events)

        def after_step(heads: L1Heads) -> bool:
            take.moved.set()
            take.moved = trio.Event()
            return until is not None and heads.unsafe.number >= until

        recorder.until = after_step
        yield take


async def recorded(world: World, folder: Path) -> Path:
    """A recording of the world's L1 as it is now, made in one go."""
    async with taking(world, folder, world.l1.tip.header.number) as take:
        await take.recorder.run(take.parts)
        take.finish()
    return take.path


async def replayed(world: World, path: Path) -> ReplayResult:
    """The recording, replayed on a fresh engine and compared; it is whole."""
    with open_recording(path) as recording:
        assert list(verify(recording)) == []
        return await Replay(
            config=world.config,
            l1=cassette.CassetteL1(recording),
            data=(calldata.CallData(), blob.BlobData([cassette_blobs.CassetteBlobs(recording)])),
            engine=new_engine(world.config),
            executes=True,
            steps_in_all=recording.step_count,
            expected=recording.expected,
        ).run()


async def batched(world: World, epochs: int = 3) -> list[Payload]:
    """So many epochs, each batched right after it."""
    blocks: list[Payload] = []
    for _ in range(epochs):
        world.l1.mine([world.l1.deposit(sender=BOB.address, to=BOB.address, mint=1)])
        made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        world.l1.mine([world.batch(*made)] if made else [])
        blocks += made
    return blocks


async def test_an_l1_whose_head_is_far_ahead_is_recorded_block_by_block_and_replays(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    blocks = await batched(world)
    path = await recorded(world, tmp_path)
    with open_recording(path) as recording:
        assert recording.span() == (0, world.l1.tip.header.number)
        assert [recording.step(index).unsafe for index in range(recording.step_count)] == list(world.l1.block_hashes)
        assert recording.expected is not None
        assert [block.hash for block in recording.expected.blocks()] == [block.hash for block in blocks]
    result = await replayed(world, path)
    assert result.difference is None
    assert result.compared
    assert result.head == BlockId(blocks[-1].hash, blocks[-1].number)


@pytest.mark.parametrize("depth", [1, 5, 64])
async def test_a_reorg_while_recording_is_in_the_timeline_and_replays(depth: int, tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE, seq_window_size=200, channel_timeout=100)
    await batched(world, 2)
    async with taking(world, tmp_path, world.l1.tip.header.number + depth + 3) as take:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take.recorder.run, take.parts)
            abandoned = [world.l1.mine().hash for _ in range(depth)]
            await take.until_steps(depth + world.l1.tip.header.number - depth + 1)
            world.l1.reorg(depth)
            await world.sequencer.follow_l1()
            world.l1.mine_empty(depth)
            made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
            world.l1.mine([world.batch(*made)])
            world.l1.mine_empty(2)
        take.finish()
    result = await replayed(world, take.path)
    assert result.difference is None
    assert result.head.hash == world.sequencer.blocks[-1].hash
    with open_recording(take.path) as recording:
        assert all(recording.link(one) is not None for one in abandoned)


async def test_an_l1_head_that_goes_back_is_recorded_as_it_was_shown(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    await batched(world, 2)
    top = world.l1.tip
    async with taking(world, tmp_path, top.header.number + 2) as take:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take.recorder.run, take.parts)
            await take.until_steps(top.header.number + 1)
            below = world.l1.reorg(2)
            await take.until_steps(top.header.number + 2)
            world.l1.move_to(top.hash)
            world.l1.mine_empty(2)
        take.finish()
    with open_recording(take.path) as recording:
        assert recording.step(top.header.number + 1).unsafe == below.hash
    assert (await replayed(world, take.path)).difference is None


async def test_what_is_safe_and_final_is_recorded_up_to_the_head_of_each_step(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    await batched(world, 2)
    third = await world.l1.ref(3)  # type: ignore[arg-type]  # a number
    world.l1.mark(L1Label.SAFE, world.l1.tip)
    world.l1.mark(L1Label.FINALIZED, await world.l1.block(third.hash))
    path = await recorded(world, tmp_path)
    with open_recording(path) as recording:
        steps = [recording.step(index) for index in range(recording.step_count)]
    assert [step.finalized for step in steps] == [*(step.unsafe for step in steps[:3]), third.hash, third.hash]
    assert [step.safe for step in steps] == [step.unsafe for step in steps]
    assert (await replayed(world, path)).difference is None


async def test_the_batchers_blobs_are_recorded_and_no_others(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    world.l1.mine()
    made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    mine = blob.BlobData(()).encode([frame_of(world, made)])
    world.l1.mine([world.l1.blob_tx(mine), world.l1.blob_tx([blob_codec.encode(b"another's")], to=ALICE.address)])
    path = await recorded(world, tmp_path)
    with open_recording(path) as recording:
        (name,) = recording.blob_hashes()
        stored = recording.blob(name)
        assert stored is not None
        assert stored.data == mine[0]
        assert stored.proof is not None
    result = await replayed(world, path)
    assert result.difference is None
    assert result.head.hash == made[-1].hash


def frame_of(world: World, blocks: Sequence[Payload]) -> bytes:
    return encode_frames(world.channel(*blocks))[1:]  # without the version, which the encoder puts before all


async def test_a_blob_that_nobody_has_is_not_made_up(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    async with taking(world, tmp_path) as take:
        absent = b"\1" + bytes(31)
        answer = await take.parts.blobs[0].blobs(world.l1.tip.ref, [absent])
        assert answer == Missing(versioned_hashes=(absent,))
        assert not take.recorder.tape.blobs


async def test_an_l1_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    blocks = await batched(world, 1)
    async with taking(world, tmp_path, world.l1.tip.header.number) as take:
        world.l1.fail(TemporaryError("busy"), times=3)
        await take.recorder.run(take.parts)
        take.finish()
    assert [event.error for event in take.events if isinstance(event, Retrying)] == ["busy"] * 3
    assert (await replayed(world, take.path)).head.hash == blocks[-1].hash


async def test_what_was_begun_when_the_recording_was_stopped_is_left_out(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    blocks = await batched(world)
    async with taking(world, tmp_path) as take:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take.recorder.run, take.parts)
            await take.until_steps(5)
            nursery.cancel_scope.cancel()
        take.finish()
    with open_recording(take.path) as recording:
        assert recording.step_count == take.writer.steps >= 5
    result = await replayed(world, take.path)
    assert result.difference is None
    assert 0 < result.head.number < blocks[-1].number


async def test_another_chains_l1_is_refused(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    async with taking(world, tmp_path) as take:
        parts = attrs.evolve(take.parts, l1=take.recorder.wrap(Role.L1, ScriptedL1(seed="another")))
        with pytest.raises(CriticalError, match="where the rollup begins: the L1 source has 0"):
            await take.recorder.run(parts)


async def test_an_engine_that_has_blocks_already_is_refused(tmp_path: Path) -> None:
    world = World.at(Fork.ECOTONE)
    await batched(world, 1)
    verifier = world.verifier()
    await verifier.sync()
    async with taking(world, tmp_path) as take:
        with pytest.raises(ConfigError, match="a recording begins where the rollup begins"):
            await take.recorder.run(attrs.evolve(take.parts, engine=verifier.engine))
