"""Situations that an operator brings about, or meets seldom: the true cause is named first, with what points to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import trio

from kroma_core.api import Missing
from kroma_core.derive.batch_codec import encode_singular_batch
from kroma_core.derive.batch_rules import BatchReason
from kroma_core.derive.batches import SingularBatch
from kroma_core.derive.channel_out import encode_channel
from kroma_core.derive.decompress import Compression
from kroma_core.derive.frames import encode_frames
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.events import (
    Event,
    L1HeadsChanged,
    Outcome,
    RequestAnswered,
    Retrying,
    Searching,
    StateMigrating,
    Subject,
    Verdict,
)
from kroma_core.forks import Fork
from kroma_core.l2 import Payload
from kroma_core.node.explain.ledger import Ledger
from kroma_core.node.explain.situation import Situation
from kroma_core.node.explain.stall import Surroundings, stall
from kroma_core.node.explain.store import VerdictStore
from kroma_core.testing.scripted_blocks import ScriptedTransaction
from kroma_core.testing.wallet import Wallet
from kroma_core.types import Hash32, L1Ref, Timestamp
from tests.actions.actors import ALICE, BOB, Stumbling, World, blob, blob_codec, calldata, new_engine
from tests.actions.live import rest, running
from tests.explain.explained import NO_TIME, stalled
from tests.explain.test_stalled import cause, synced


def with_rollup(world: World, **changes: Any) -> World:
    """The same world for whoever follows it with another rollup.json."""
    world.config = attrs.evolve(world.config, rollup=attrs.evolve(world.config.rollup, **changes))
    return world


def sent(world: World, *batches: SingularBatch) -> None:
    world.l1.mine([world.l1.batcher_tx(encode_frames(world.channel_of(batches)))])


def moved(world: World, blocks: Sequence[Payload], seconds: int) -> list[SingularBatch]:
    """The batches of these blocks, all at another time."""
    singular = [world.singular(block) for block in blocks]
    return [attrs.evolve(batch, timestamp=Timestamp(batch.timestamp + seconds)) for batch in singular]


class TestConfiguration:
    async def test_the_batcher_of_rollup_json_is_another_one(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        genesis = world.config.rollup.genesis
        system = attrs.evolve(genesis.system_config, batcher=b"\x11" * 20)
        code, text = await cause(with_rollup(world, genesis=attrs.evolve(genesis, system_config=system)))
        assert code == "unknown_batcher"
        assert f"sender 0x{world.l1.batcher.address.hex()}, batcher 0x{'11' * 20}" in text

    async def test_the_inbox_of_rollup_json_has_a_typo(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        code, text = await cause(with_rollup(world, batch_inbox=b"\x22" * 20))
        assert code == "no_batcher_data"
        assert f"no transaction to the batch inbox, 0x{'22' * 20}" in text
        assert world.l1.batcher.address.hex() in text

    async def test_the_l1_of_rollup_json_has_another_chain_id(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        code, text = await cause(with_rollup(world, l1_chain_id=17))
        assert code == "transaction_dropped"
        assert "no valid signature for this L1 chain" in text

    async def test_derivation_begins_after_the_first_batch(self) -> None:
        world = World.at(Fork.ECOTONE)
        world.l1.mine()
        blocks = await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*blocks[1:])])
        code, text = await cause(world)
        assert code == "future_batch"
        assert "no batch for L2 block 1 has come" in text
        assert "derivation began at L1 block 0, and what was posted before it is not read" in text


class TestBatcher:
    async def test_it_posts_blocks_again_that_are_safe_already(self) -> None:
        for fork in (Fork.ECOTONE, Fork.JOVIAN):
            world, blocks = await synced(fork)
            old = world.sequencer.blocks[: -len(blocks)]
            for _ in range(2):
                world.l1.mine([world.batch(*old)])
            code, text = await cause(world)
            assert code == "past_batches"
            assert f"the batch for L2 block {old[-1].number} " in text
            assert f"in L1 block 4; none for L2 block {blocks[0].number} has come" in text

    async def test_it_posts_another_chains_batches(self) -> None:
        for seconds, odd in (
            (1_000_000, "later than that L1 block itself"),
            (-1_000_000, "before the genesis of this chain"),
            (1, "between two blocks of this chain, which has one each 2 s"),
        ):
            world, blocks = await synced()
            sent(world, *moved(world, blocks, seconds))
            world.l1.mine()
            code, text = await cause(world)
            assert code == "foreign_batch", text
            assert odd in text
            assert "looks like another chain's" in text

    async def test_its_frames_come_in_another_order(self) -> None:
        world, blocks = await synced()
        frames = world.channel(*blocks, frame_size=40)
        world.l1.mine([world.l1.batcher_tx(encode_frames([frames[1], frames[0], *frames[2:]]))])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "frame_dropped"
        assert f"frame {frames[0].channel_id.hex()}/0 was dropped in L1 block 3: not the number that continues" in text
        assert f"and {len(frames) - 1} more of that channel" in text

    async def test_its_transactions_come_in_another_order(self) -> None:
        world, blocks = await synced()
        frames = world.channel(*blocks, frame_size=40)
        world.l1.mine([world.l1.batcher_tx(encode_frames(part)) for part in (frames[2:], frames[:2])])
        code, text = await cause(world)
        assert code == "channel_incomplete"
        assert "waits for frame 2;" in text
        assert "a frame 2 came in L1 block 3 and was dropped" in text

    async def test_it_uses_span_batches_too_early(self) -> None:
        world, blocks = await synced(Fork.CANYON)
        world.l1.mine([world.batch(*blocks, span=True)])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "batch_dropped"
        assert "span batches are not read yet" in text

    async def test_it_uses_a_compression_too_early(self) -> None:
        world, blocks = await synced(Fork.ECOTONE)
        batches = [encode_singular_batch(world.singular(block)) for block in blocks]
        frames = encode_channel(batches, Compression.BROTLI, channel_id=b"\7" * 16, max_frame_data=100_000)
        world.l1.mine([world.l1.batcher_tx(encode_frames(frames))])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "channel_dropped"
        assert "brotli before its upgrade" in text

    async def test_its_sequencer_kept_an_epoch_for_too_long(self) -> None:
        world = World.at(Fork.ECOTONE, max_sequencer_drift=4)
        world.l1.mine()
        blocks = [await world.sequencer.build(same_epoch=True) for _ in range(3)]
        blocks.append(await world.sequencer.build(world.transfer(ALICE, BOB), same_epoch=True))
        world.l1.mine()
        world.l1.mine([world.batch(*blocks)])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "batch_dropped"
        assert "the batch for L2 block 4 " in text
        assert "transactions past the sequencer's time drift" in text

    async def test_its_batch_cannot_be_judged_before_more_of_l1_is_read(self) -> None:
        world, blocks = await synced(Fork.ECOTONE)
        verifier = world.verifier()
        await verifier.sync()
        undecided = Verdict(
            subject=Subject.BATCH,
            name=str(blocks[0].timestamp),
            outcome=Outcome.UNDECIDED,
            reason=BatchReason.NEXT_EPOCH_UNKNOWN,
            rule='derivation.md, "Batch Queue"',
            origin=world.l1.tip.id,
        )
        answer = stall(told(world, *verifier.events, undecided), NO_TIME)
        assert answer.data["cause"] == "batch_undecided"
        assert f"the batch for L2 block {blocks[0].number} " in answer.summary
        assert "the next epoch's L1 block is not known yet" in answer.summary

    async def test_its_blob_transaction_has_nothing_in_it(self) -> None:
        world, _ = await synced()
        world.l1.mine([world.l1.blob_tx([b"\0\1" + bytes(131_070)])])
        world.l1.mine()
        code, text = await cause(world)
        assert code == "no_inputs"
        assert "the batcher's transaction in L1 block 3 carries nothing that can be read" in text

    async def test_what_it_posted_is_lost_in_a_reorg(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        async with running(world.verifier()) as verifier:
            await rest()
            world.l1.reorg(3)
            world.l1.mine_empty(6)
            await rest()
            await trio.sleep(60)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "no_batcher_data"
        assert "what had come up to L1 block 3 was given up in a reorg, and did not come again" in answer.summary


class TestParts:
    async def test_the_blob_source_is_silent_which_is_not_that_blobs_are_missing(self) -> None:
        class Silent:
            async def blobs(self, block: L1Ref, versioned_hashes: Sequence[Hash32]) -> tuple[bytes, ...] | Missing:
                raise TemporaryError("ask http://beacon: connection refused")

        world, blocks = await synced()
        world.l1.mine([world.l1.blob_tx([blob_codec.encode(encode_frames(world.channel(*blocks)))])])
        sources = (calldata.CallData(), blob.BlobData([Silent()]))
        async with running(world.verifier(data=sources)) as verifier:
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "data_silent"
        assert "connection refused" in answer.summary

    async def test_a_silent_blob_source_that_nobody_waits_for_is_not_the_cause(self) -> None:
        world, _ = await synced()
        world.l1.mine_empty(2)
        verifier = world.verifier()
        await verifier.sync()
        refused = RequestAnswered(
            part="blobs beacon", server="http://127.0.0.1:5052", method="genesis", seconds=0.1, outcome="unreachable"
        )
        answer = stall(told(world, *verifier.events, refused), NO_TIME)
        assert answer.data["cause"] == "no_batcher_data"

    async def test_an_engines_words_do_not_decide_what_ails_it(self) -> None:
        world, blocks = await synced()
        engine = Stumbling(new_engine(world.config))
        async with running(world.verifier(engine)) as verifier:
            engine.always("build", TemporaryError("the proxy is syncing its blobs: 503"))
            world.l1.mine([world.batch(*blocks)])
            await rest()
            await trio.sleep(20)
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "engine_silent"

    async def test_l1_went_back(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        async with running(world.verifier()) as verifier:
            await rest()
            world.l1.reorg(3)
            world.l1.mine_empty(1)
            await rest()
            answer = stalled(world, verifier)
        assert answer.data["cause"] == "l1_went_back"
        assert "L1 shows head 1, below block 3" in answer.summary

    async def test_the_node_has_not_read_all_of_l1_yet(self) -> None:
        world, blocks = await synced()
        verifier = world.verifier()
        await verifier.sync()
        world.l1.mine([world.batch(*blocks)])
        answer = stall(told(world, *verifier.events), NO_TIME)
        assert answer.data["cause"] == "catching_up"
        assert "L1 block 2 of 3" in answer.summary

    async def test_finality_stands_while_the_safe_head_moves(self) -> None:
        world, blocks = await synced()
        world.l1.mine([world.batch(*blocks)])
        verifier = world.verifier()
        await verifier.sync()
        answer = stalled(world, verifier)
        assert answer.data["cause"] == "not_stalled"
        assert dict(answer.facts)["finalised"] == (
            "L2 block 0; the L1 source shows no finalised block, and the safe head rests on L1 block 3"
        )


class TestTheNode:
    def test_derivation_has_failed(self) -> None:
        world = World.at(Fork.JOVIAN)
        ledger, store = Ledger(), VerdictStore(None)
        ledger.note("failed", {"error": str(CriticalError("the portal contradicts itself"))}, 0.0)
        store.write(ledger.changes([], 0.0))
        answer = stall(Situation(store, world.config), NO_TIME)
        assert answer.data["cause"] == "failed"
        assert "the portal contradicts itself" in answer.summary

    def test_it_searches_for_where_to_begin(self) -> None:
        world = World.at(Fork.JOVIAN)
        searching = Searching(part="driver", what="L2 blocks that rest on L1", at=70, towards=10)
        answer = stall(told(world, searching), NO_TIME)
        assert answer.data["cause"] == "searching"
        assert "L2 blocks that rest on L1, at 70 of 10" in answer.summary

    def test_it_has_only_just_been_started(self) -> None:
        world = World.at(Fork.JOVIAN)
        assert stall(told(world), NO_TIME).data["cause"] == "not_started"

    def test_its_engine_fetches_the_chain_by_itself_first(self) -> None:
        world = World.at(Fork.JOVIAN)
        around = Surroundings(running=True, engine_syncs=True)
        answer = stall(told(world), around)
        assert answer.data["cause"] == "engine_syncing"
        assert "no unsafe block has come" in answer.summary

    def test_another_part_fails(self) -> None:
        world = World.at(Fork.JOVIAN)
        again = Retrying(part="data archive", what="reach the archive", error="no route", attempt=4, delay=1.0)
        answer = stall(told(world, again), NO_TIME)
        assert answer.data["cause"] == "data_silent"
        again = attrs.evolve(again, part="observe arrow")
        assert stall(told(world, again), NO_TIME).data["cause"] == "retrying"

    async def test_the_engine_migrates_its_state(self) -> None:
        world, _ = await synced()
        verifier = world.verifier()
        await verifier.sync()
        migrating = StateMigrating(part="engine pyevm", block=6, accounts=1000, complete=False)
        situation = told(world, *verifier.events, migrating)
        answer = stall(situation, NO_TIME)
        assert answer.data["cause"] == "migrating"
        assert "1000 accounts so far" in answer.summary


def told(world: World, *events: Event) -> Situation:
    """What is known after these events, with L1's heads as they are now."""
    store = VerdictStore(None)
    store.write(Ledger().changes([*events, L1HeadsChanged(heads=world.l1.heads)], now=0.0))
    return Situation(store, world.config)


class TestAnOldL1:
    """A recording that is served, or an L1 source that is stuck: the newest block is old."""

    async def answer(self, world: World, batches: ScriptedTransaction | None) -> str:
        world.l1.mine([batches] if batches is not None else [])
        world.l1.mine_empty(2)
        verifier = world.verifier()
        await verifier.sync()
        late = Surroundings(now=world.l1.tip.header.timestamp + 10 * 86_400.0, running=True)
        answer = stalled(world, verifier, late)
        assert "l1_stale" in [cause["code"] for cause in answer.data["causes"]]
        assert "10 days old" in answer.text()
        code: str = answer.data["cause"]
        return code

    async def test_it_is_the_cause_where_the_batcher_may_only_have_paused(self) -> None:
        world, _ = await synced()
        assert await self.answer(world, None) == "l1_stale"

    async def test_it_is_the_cause_where_a_stranger_wrote_to_the_inbox(self) -> None:
        world, blocks = await synced()
        stranger = Wallet.named("stranger")
        data = encode_frames(world.channel(*blocks))
        assert await self.answer(world, world.l1.batcher_tx(data, wallet=stranger)) == "l1_stale"

    async def test_it_is_not_the_cause_where_the_batchers_own_data_are_wrong(self) -> None:
        world, _ = await synced()
        assert await self.answer(world, world.l1.batcher_tx(b"\1 not frames")) == "data_dropped"

    async def test_it_is_not_the_cause_where_nothing_of_the_batcher_ever_came(self) -> None:
        world = World.at(Fork.JOVIAN)
        world.l1.mine()
        assert await self.answer(with_rollup(world, batch_inbox=b"\x22" * 20), None) == "no_batcher_data"
