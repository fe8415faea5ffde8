"""Prepared situations in which the safe head stands still: the true cause is named first."""

from __future__ import annotations

import attrs
import trio

from kroma_core.api import Syncing
from kroma_core.derive.frames import encode_frames
from kroma_core.errors import ResetError, TemporaryError
from kroma_core.forks import Fork
from kroma_core.l2 import Payload
from kroma_core.node.explain.history import explain_block
from kroma_core.node.explain.stall import Surroundings
from kroma_core.testing.wallet import Wallet
from tests.actions.actors import ALICE, BOB, Stumbling, Verifier, World, blob_codec, new_engine
from tests.actions.live import Holding, rest, running
from tests.explain.explained import NO_TIME, situation_of, stalled


async def synced(fork: Fork = Fork.JOVIAN, **limits: int) -> tuple[World, list[Payload]]:
    """A world whose first blocks are on L1, and the next ones, which are not."""
    world = World.at(fork, l1=None, **limits)
    world.l1.mine()
    world.l1.mine([world.batch(*await world.sequencer.build_up_to_l1())])
    return world, await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))


async def cause(world: World, verifier: Verifier | None = None) -> tuple[str, str]:
    verifier = verifier or world.verifier()
    await verifier.sync()
    answer = stalled(world, verifier)
    assert "\n" not in answer.summary
    assert len(answer.text().splitlines()) <= 24
    return answer.data["cause"], answer.summary


class TestNothingIsWrong:
    async def test_a_safe_head_that_has_just_moved_does_not_stand_still(self) -> None:
        world, _ = await synced()
        code, text = await cause(world)
        assert code == "not_stalled"
        assert "L1 block 2" in text


class TestData:
    async def test_no_batcher_data(self) -> None:
        world, _ = await synced()
        world.l1.mine_empty(4)
        code, text = await cause(world)
        assert code == "no_batcher_data"
        assert "since L1 block 2" in text
        assert "read up to block 6" in text
        assert "L1 block 11 on" in text

    async def test_no_batcher_data_at_all(self) -> None:
        world = World.at(Fork.JOVIAN)
        world.l1.mine_empty(3)
        assert (await cause(world))[0] == "no_batcher_data"

    async def test_a_channel_waits_for_a_frame(self) -> None:
        world, blocks = await synced()
        frames = world.channel(*blocks, frame_size=40)
        assert len(frames) > 3
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames[:2]))])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "channel_incomplete"
        assert f"channel {frames[0].channel_id.hex()} waits for frame 2; it was opened in L1 block 3" in text

    async def test_a_channel_with_a_hole_waits_for_the_frame_that_is_missing(self) -> None:
        world, blocks = await synced(Fork.GRANITE)
        frames = world.channel(*blocks, frame_size=40)
        rest_of_it = [frame for frame in frames if frame.number != 1]
        world.l1.mine([world.l1.batcher_tx(encode_frames(rest_of_it))])
        code, text = await cause(world)
        assert code == "channel_incomplete"
        assert "waits for frame 1;" in text

    async def test_a_channel_timed_out(self) -> None:
        world, blocks = await synced(Fork.ECOTONE, seq_window_size=40)
        frames = world.channel(*blocks, frame_size=40)
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames[:2]))])
        world.l1.mine_empty(8)
        code, text = await cause(world)
        assert code == "channel_dropped"
        assert "the channel was not complete in time (opened 3, origin 10, timeout 6)" in text

    async def test_a_frame_that_was_left_out_makes_the_rest_drop(self) -> None:
        world, blocks = await synced()
        frames = world.channel(*blocks, frame_size=40)
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames[1:2]))])
        code, text = await cause(world)
        assert code == "frame_dropped"
        assert "no channel is open" in text

    async def test_a_batch_with_another_parent(self) -> None:
        world, blocks = await synced()
        wrong = attrs.evolve(world.singular(blocks[0]), parent_hash=b"\x77" * 32)
        world.l1.mine([world.l1.batcher_tx(encode_frames(world.channel_of([wrong])))])
        world.l1.mine_empty(2)
        code, text = await cause(world)
        assert code == "batch_dropped"
        assert f"the batch for L2 block {blocks[0].number} " in text
        assert "parent hash is not that of the chain" in text
        assert "0x" + "77" * 32 in text

    async def test_a_sequencing_window_that_has_passed_moves_the_safe_head_by_empty_blocks(self) -> None:
        world, _ = await synced(seq_window_size=4)
        world.l1.mine_empty(5)
        verifier = world.verifier()
        code, text = await cause(world, verifier)
        assert code == "not_stalled"
        assert "L1 block 7" in text
        forced = explain_block(situation_of(world, verifier), verifier.driver.heads.safe.number, NO_TIME)
        assert dict(forced.facts)["why empty"].startswith("the epoch's sequencing window has passed")

    async def test_a_gap_between_batches(self) -> None:
        world, blocks = await synced(Fork.ECOTONE)
        world.l1.mine([world.batch(*blocks[1:])])
        world.l1.mine_empty(2)
        code, text = await cause(world)
        assert code == "future_batch"
        assert f"no batch for L2 block {blocks[0].number} has come" in text

    async def test_a_gap_between_batches_in_strict_order(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks[1:])])
        world.l1.mine_empty(2)
        assert (await cause(world))[0] == "future_batch"

    async def test_batcher_data_that_hold_no_frames(self) -> None:
        world, _ = await synced()
        world.l1.mine([world.l1.batcher_tx(b"\x01 something else")])
        world.l1.mine_empty(2)
        code, text = await cause(world)
        assert code == "data_dropped"
        assert "the version byte does not announce frames" in text

    async def test_a_channel_that_does_not_decompress(self) -> None:
        world, blocks = await synced()
        frames = [attrs.evolve(frame, data=b"\x78\xff\xff") for frame in world.channel(*blocks)]
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames))])
        world.l1.mine()
        assert (await cause(world))[0] == "channel_dropped"

    async def test_another_batcher(self) -> None:
        world, blocks = await synced()
        stranger = Wallet.named("the new batcher")
        world.l1.mine([world.l1.batcher_tx(encode_frames(world.channel(*blocks)), wallet=stranger)])
        world.l1.mine_empty(2)
        code, text = await cause(world)
        assert code == "unknown_batcher"
        assert stranger.address.hex() in text
        assert world.l1.batcher.address.hex() in text

    async def test_a_stranger_does_not_hide_a_channel_that_waits(self) -> None:
        world, blocks = await synced()
        frames = world.channel(*blocks, frame_size=40)
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames[:2]))])
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames), wallet=Wallet.named("stranger"))])
        assert (await cause(world))[0] == "channel_incomplete"

    async def test_a_block_that_the_engine_refuses(self) -> None:
        world, blocks = await synced(Fork.GRANITE)
        broke = Wallet.named("an account without money")
        bad = world.with_transactions(world.singular(blocks[0]), world.transfer(broke, BOB))
        world.l1.mine([world.l1.batcher_tx(encode_frames(world.channel_of([bad])))])
        world.l1.mine()
        assert (await cause(world))[0] == "engine_refused"


class TestParts:
    async def test_l1_does_not_answer(self) -> None:
        world, blocks = await synced()
        l1 = Stumbling(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.always("block", TemporaryError("connection refused"))
            world.l1.mine([world.batch(*blocks)])
            await rest()
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "l1_silent"
        assert "connection refused" in answer.summary

    async def test_blobs_are_missing(self) -> None:
        world, blocks = await synced()
        blob_tx = world.l1.blob_tx([blob_codec.encode(encode_frames(world.channel(*blocks)))])
        world.l1.mine([blob_tx])
        for versioned_hash in world.l1.blob_hashes:
            world.l1.forget_blob(versioned_hash)
        async with running(world.verifier()) as verifier:
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "blobs_missing"
        assert "L1 block 3" in answer.summary

    async def test_the_engine_is_silent(self) -> None:
        world, blocks = await synced()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            engine.always("build", TemporaryError("no answer within 10 s"))
            world.l1.mine([world.batch(*blocks)])
            await rest()
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "engine_silent"
        assert "no answer within 10 s" in answer.summary

    async def test_the_engine_is_syncing(self) -> None:
        world, blocks = await synced()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            engine.always("build", Syncing())
            world.l1.mine([world.batch(*blocks)])
            await rest()
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "engine_syncing"

    async def test_trouble_that_is_over_is_no_cause(self) -> None:
        world, _ = await synced()
        engine = Stumbling(new_engine(world.config))
        engine.instead("build", TemporaryError("restarting"), times=3)
        async with running(world.verifier(engine)) as verifier:
            await trio.sleep(60)
            world.l1.mine_empty(2)
            await rest()
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "no_batcher_data"

    async def test_resets_without_end(self) -> None:
        world, blocks = await synced()
        l1 = Stumbling(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.always("block", ResetError("L1 block 3 is gone: the server has another branch"))
            world.l1.mine([world.batch(*blocks)])
            await rest()
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "reset_loop"
        assert "the server has another branch" in answer.summary

    async def test_it_waits_for_confirmations(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        async with running(world.verifier(l1_confirmations=3)) as verifier:
            answer = stalled(world, verifier, confirmations=3)
        assert answer.data["cause"] == "waiting_for_confirmations"

    async def test_the_engine_does_not_answer_at_the_start(self) -> None:
        world, _ = await synced()
        engine = Stumbling(new_engine(world.config))
        engine.always("block", TemporaryError("connection refused"))
        async with running(world.verifier(engine)) as verifier:
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "engine_silent"

    async def test_there_is_no_l1_head(self) -> None:
        world, _ = await synced()
        verifier = world.verifier()
        assert stalled(world, verifier).data["cause"] == "no_l1_head"

    async def test_the_l1_source_shows_old_heads(self) -> None:
        world, _ = await synced()
        verifier = world.verifier()
        await verifier.sync()
        late = Surroundings(now=world.l1.tip.header.timestamp + 600.0, running=True)
        answer = stalled(world, verifier, late)
        assert answer.data["cause"] == "l1_stale"
        assert "600 s old" in answer.summary

    async def test_a_part_hangs(self) -> None:
        world, blocks = await synced()
        l1 = Holding(world.l1)
        async with running(world.verifier(l1=l1)) as verifier:
            l1.hold("block")
            world.l1.mine([world.batch(*blocks)])
            await rest()
            late = Surroundings(now=200.0, running=True)
            answer = stalled(world, verifier, attrs.evolve(late, now=130.0))
        assert answer.data["cause"] == "no_progress"

    async def test_the_node_is_not_running(self) -> None:
        world, _ = await synced()
        verifier = world.verifier()
        await verifier.sync()
        answer = stalled(world, verifier, Surroundings(running=False))
        assert answer.data["cause"] == "not_running"
