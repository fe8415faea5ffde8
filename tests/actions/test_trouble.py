"""Parts that do not answer, that lie, or that hold what the protocol has no answer for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from kroma_core.api import Gone, Inconsistent, Invalid, Syncing
from kroma_core.codec.receipts import Log
from kroma_core.derive.frames import encode_frames
from kroma_core.errors import CriticalError, KromaError, NotFound, ResetError, TemporaryError
from kroma_core.events import HeadsMoved
from kroma_core.forks import Fork
from kroma_core.l1 import L1Heads, L1Label
from kroma_core.node.retry import RetryPolicy
from kroma_core.node.run import Node
from kroma_core.testing.l1_logs import TRANSACTION_DEPOSITED
from kroma_core.testing.scripted_l1 import ScriptedL1
from tests.actions.actors import ALICE, BOB, Stumbling, Verifier, World, blob_codec, calldata, new_engine

OFFLINE = TemporaryError("no connection to 192.0.2.1")
THREE_ATTEMPTS = RetryPolicy(first=1.0, longest=8.0, attempts=3)


async def batched_world(*, blobs: bool = False, fork: Fork = Fork.ECOTONE) -> World:
    """One epoch of six blocks, batched."""
    world = World.at(fork)
    world.l1.mine([world.l1.deposit(sender=ALICE.address, to=BOB.address, mint=3)])
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, nonce=0))
    data = encode_frames(world.channel(*blocks))
    world.l1.mine([world.l1.blob_tx([blob_codec.encode(data)]) if blobs else world.l1.batcher_tx(data)])
    return world


def head_of(world: World) -> bytes:
    return world.sequencer.blocks[-1].hash


class TestTemporaryErrors:
    async def test_an_l1_that_is_away_for_a_while_is_asked_again_with_growing_pauses(self) -> None:
        world = await batched_world()
        world.l1.fail(OFFLINE, times=5)
        verifier = world.verifier()
        began = trio.current_time()
        assert (await verifier.sync()).hash == head_of(world)
        assert [retry.delay for retry in verifier.retries] == [1.0, 2.0, 4.0, 8.0, 8.0]
        assert [retry.attempt for retry in verifier.retries] == [1, 2, 3, 4, 5]
        assert trio.current_time() - began == 23.0
        assert {retry.error for retry in verifier.retries} == {str(OFFLINE)}

    async def test_any_call_of_l1_may_fail(self) -> None:
        world = await batched_world(blobs=True)
        smooth = Stumbling(world.l1)
        await world.verifier(l1=smooth).sync()
        assert set(smooth.calls) == {"head", "ref", "block", "receipts", "blobs"}
        for call in range(len(smooth.calls)):
            l1 = Stumbling(world.l1)
            l1.at_call(call, OFFLINE)
            verifier = world.verifier(l1=l1)
            assert (await verifier.sync()).hash == head_of(world)
            assert len(verifier.retries) == 1, call

    async def test_an_l1_that_stays_away_ends_a_replay_with_its_own_words(self) -> None:
        world = await batched_world()
        world.l1.fail(OFFLINE, times=3)
        with pytest.raises(TemporaryError, match="no connection"):
            await world.verifier(policy=THREE_ATTEMPTS).sync()

    @pytest.mark.parametrize(
        ("method", "answer"),
        [
            ("block", OFFLINE),
            ("build", OFFLINE),
            ("seal", OFFLINE),
            ("execute", OFFLINE),
            ("set_heads", OFFLINE),
            ("build", Syncing()),
            ("seal", Gone()),
            ("execute", Syncing()),
            ("set_heads", Syncing()),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    async def test_an_engine_that_is_not_ready_is_asked_again(self, method: str, answer: object) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        engine.instead(method, answer, times=3)
        verifier = world.verifier(engine)
        assert (await verifier.sync()).hash == head_of(world)
        assert len(verifier.retries) == 3

    async def test_an_engine_that_is_never_ready_ends_a_replay(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        engine.instead("build", Syncing(), times=3)
        with pytest.raises(
            TemporaryError, match=r"build on L2 block 0 \(0x[0-9a-f]{64}\): the engine is still syncing"
        ):
            await world.verifier(engine, policy=THREE_ATTEMPTS).sync()

    async def test_finalising_is_tried_again_too(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        verifier = world.verifier(engine)
        await verifier.sync()
        world.l1.mark(L1Label.FINALIZED, world.l1.tip)
        engine.instead("set_heads", Syncing(), times=2)
        await verifier.sync()
        assert await verifier.labels() == (6, 6, 6)

    async def test_a_source_that_answers_with_too_little_is_asked_again(self) -> None:
        world = await batched_world()

        class Forgetful(calldata.CallData):  # type: ignore[misc]  # a plugin's class, imported where it is installed
            times = 2

            async def read(self, block: object, txs: list[object]) -> object:
                if self.times:
                    self.times -= 1
                    return []
                return await super().read(block, txs)

        verifier = world.verifier(data=[Forgetful()])
        assert (await verifier.sync()).hash == head_of(world)
        assert "expected data of 1 transactions, got 0" in verifier.retries[0].error


class TestResets:
    async def test_a_blob_that_nobody_has_ends_a_replay(self) -> None:
        world = await batched_world(blobs=True)
        (versioned_hash,) = world.l1.blob_hashes
        world.l1.forget_blob(versioned_hash)
        verifier = world.verifier(resets_without_progress=3)
        with pytest.raises(CriticalError, match=f"derivation cannot go on: .*0x{versioned_hash.hex()} of L1 block 2"):
            await verifier.sync()
        assert len(verifier.resets) == 3

    async def test_a_live_node_waits_for_a_blob_that_nobody_has(self) -> None:
        world = await batched_world(blobs=True)
        (versioned_hash,) = world.l1.blob_hashes
        blob = world.l1.blob_content(versioned_hash)
        world.l1.forget_blob(versioned_hash)
        verifier = world.verifier()

        async def bring_it_back() -> None:
            await trio.sleep(100)
            world.l1.add_blob(blob)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bring_it_back)
            assert (await verifier.sync()).hash == head_of(world)
        delays = [retry.delay for retry in verifier.retries if retry.what == "derive"]
        assert delays[:4] == [1.0, 2.0, 4.0, 8.0]
        assert 100 <= sum(delays) <= 108

    async def test_an_l1_block_that_vanishes_between_two_questions_means_a_reset(self) -> None:
        world = await batched_world()
        l1 = Stumbling(world.l1)
        l1.instead("block", NotFound("there is no such block"), times=2)
        verifier = world.verifier(l1=l1)
        assert (await verifier.sync()).hash == head_of(world)
        assert len(verifier.resets) == 2
        assert verifier.resets[0] == f"L1 block {world.l1.genesis.id} is gone: there is no such block"

    async def test_an_l1_block_that_is_not_there_below_the_head_is_missed(self) -> None:
        """Not there yet, and not there at all, are two things."""
        world = await batched_world()
        l1 = Stumbling(world.l1)
        head = world.l1.tip.id
        verifier = world.verifier(l1=l1, resets_without_progress=2)
        await verifier.sync()
        world.l1.mine_empty(2)
        l1.instead("ref", NotFound("no such block"), times=100)
        with pytest.raises(CriticalError, match=r"derivation cannot go on: L1 block 0 is missing"):
            await verifier.sync()
        missing = f"L1 block {head.number + 1} is missing, and the L1 head is {world.l1.tip.id}"
        assert verifier.resets[0] == f"{missing}: no such block"

    async def test_heads_that_the_engine_calls_inconsistent_once_are_found_anew(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        verifier = world.verifier(engine)
        world.l1.reorg(1)
        await verifier.sync()
        engine.instead("set_heads", Inconsistent(reason="the safe block is no ancestor"))
        world.l1.mine([world.batch(*world.sequencer.blocks)])
        assert (await verifier.sync()).hash == head_of(world)
        (reason,) = verifier.resets
        assert reason.startswith("set the heads to 1 (0x")
        assert reason.endswith(": the safe block is no ancestor")

    async def test_heads_that_the_engine_always_calls_inconsistent_end_a_replay(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        engine.instead("set_heads", Inconsistent(reason="the safe block is no ancestor"), times=100)
        with pytest.raises(CriticalError, match=r"derivation cannot go on: set the heads to 0 .* is no ancestor"):
            await world.verifier(engine, resets_without_progress=3).sync()

    async def test_blocks_that_come_again_after_a_reset_are_no_progress(self) -> None:
        """A blob is missing late in the chain: what was derived before it is confirmed after each reset."""
        world = await batched_world(blobs=True)
        for _ in range(3):
            world.l1.mine()
            blocks = await world.sequencer.build_up_to_l1()
            data = encode_frames(world.channel(*blocks))
            world.l1.mine([world.l1.blob_tx([blob_codec.encode(data)])])
        *_, missing = world.l1.blob_hashes
        world.l1.forget_blob(missing)
        verifier = world.verifier(resets_without_progress=3)
        with pytest.raises(CriticalError, match=f"derivation cannot go on: .*0x{missing.hex()} of L1 block 8"):
            await verifier.sync()
        assert len(verifier.resets) == 3
        assert verifier.driver.heads.safe.number == blocks[0].number - 1

    async def test_resets_are_counted_from_where_derivation_came_furthest(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        for number in (0, 2, 4, 6):  # each block but the last is sealed at the second attempt
            engine.at_call(number, ResetError("the engine has lost its chain"), of="seal")
        verifier = world.verifier(engine, resets_without_progress=1)
        assert (await verifier.sync()).hash == head_of(world)
        assert len(verifier.resets) == 4

    async def test_resets_on_one_l1_head_do_not_count_for_the_next(self) -> None:
        world = await batched_world()
        engine = Stumbling(new_engine(world.config))
        verifier = world.verifier(engine, resets_without_progress=1)
        for _ in range(4):
            engine.instead("seal", ResetError("the engine has lost its chain"))
            world.l1.mine()
            blocks = await world.sequencer.build_up_to_l1()
            world.l1.mine([world.batch(*blocks)])
            assert (await verifier.sync()).hash == blocks[-1].hash
        assert len(verifier.resets) == 4


class TestCriticalErrors:
    async def test_a_batcher_transaction_that_no_source_reads_stops_the_node(self) -> None:
        world = await batched_world(blobs=True)
        verifier = world.verifier(data=[calldata.CallData()])
        with pytest.raises(CriticalError) as caught:
            await verifier.sync()
        assert str(caught.value).startswith(f"read batcher data of L1 block {world.l1.tip.id}: no data source")
        assert str(caught.value).endswith("of type 3")

    async def test_a_malformed_deposit_names_its_block_and_log(self) -> None:
        world = World.at(Fork.ECOTONE)
        topics = (TRANSACTION_DEPOSITED, bytes(32), bytes(32), bytes(32))
        harmless = Log(b"\7" * 20, (), b"")
        malformed = Log(world.l1.portal, topics, b"\1")
        block = world.l1.mine([world.l1.contract_tx(harmless), world.l1.contract_tx(harmless, malformed)])
        world.l1.mine_empty(12)  # the window of epoch 1 passes
        verifier = world.verifier()
        with pytest.raises(CriticalError) as caught:
            await verifier.sync()
        said = f"deposit in L1 block 0x{block.hash.hex()}, log 2: TransactionDeposited: "
        assert str(caught.value).startswith(said)
        assert verifier.driver.heads.safe.l1_origin.number == 0

    async def test_an_engine_that_refuses_deposits_stops_the_node(self) -> None:
        world = World.at(Fork.ECOTONE)
        world.l1.mine_empty(12)
        engine = Stumbling(new_engine(world.config))
        engine.instead("build", Invalid(reason="I do not like it"))
        with pytest.raises(CriticalError, match=r"block on 0 \(0x.*holds deposits alone: I do not like it"):
            await world.verifier(engine).sync()

    async def test_an_engine_of_another_chain_is_refused(self) -> None:
        world, other = World.at(Fork.ECOTONE), World.at(Fork.JOVIAN)
        with pytest.raises(KromaError, match="0x"):
            await world.verifier(new_engine(other.config)).sync()

    async def test_an_l1_that_is_another_chain_is_refused(self) -> None:
        world = World.at(Fork.ECOTONE)
        elsewhere = ScriptedL1(seed="elsewhere")
        verifier = Verifier.on(elsewhere, world.config, new_engine(world.config))
        with pytest.raises(CriticalError, match="the L1 is another chain: its block 0 is 0x"):
            await verifier.sync()


async def test_a_node_stops_after_the_block_it_was_told() -> None:
    world = await batched_world()
    events: list[object] = []
    node = Node(
        config=world.config,
        l1=world.l1,
        data=[calldata.CallData()],
        engine=new_engine(world.config),
        emit=events.append,
        policy=RetryPolicy(),
        resets_without_progress=None,
        stop_after=3,
    )
    heads = await node.run()
    assert heads is not None
    assert heads.safe.number == 3
    assert [event.safe.number for event in events if isinstance(event, HeadsMoved)] == [1, 2, 3]


async def test_a_source_without_any_head_leaves_the_node_where_it_was() -> None:
    world = World.at(Fork.ECOTONE)

    class Empty(ScriptedL1):
        async def subscribe(self) -> AsyncIterator[L1Heads]:
            for heads in ():
                yield heads

    node = Node(
        config=world.config,
        l1=Empty(),
        data=[calldata.CallData()],
        engine=new_engine(world.config),
        emit=lambda event: None,
        policy=RetryPolicy(),
        resets_without_progress=None,
    )
    assert await node.run() is None
