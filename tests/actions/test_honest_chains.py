"""What users, operators and batchers put on L1 arrives on L2, in every era of the protocol."""

from __future__ import annotations

import pytest

from kroma_core.codec.receipts import Receipt
from kroma_core.derive.frames import encode_frames
from kroma_core.derive.l2_blocks import read_l2_block
from kroma_core.events import HeadsMoved, Outcome, Subject
from kroma_core.forks import Fork
from kroma_core.l2 import ForkchoiceState, L2Label
from kroma_core.testing import l1_logs
from kroma_core.testing.wallet import Wallet
from kroma_core.types import L2Number
from tests.actions.actors import ALICE, BOB, CAROL, ETHER, World, blob_codec

ERAS = pytest.mark.parametrize("fork", [Fork.REGOLITH, Fork.CANYON, Fork.ECOTONE, Fork.HOLOCENE, Fork.JOVIAN])


@ERAS
async def test_a_deposit_is_minted_and_can_be_spent(fork: Fork) -> None:
    world = World.at(fork)
    world.l1.mine([world.l1.deposit(sender=CAROL.address, to=CAROL.address, mint=ETHER, value=0)])
    await world.sequencer.build_up_to_l1()
    deposited = world.sequencer.blocks[-1]
    assert len(deposited.transactions) == 2
    world.l1.mine()
    spending = world.transfer(CAROL, BOB, ETHER // 2, nonce=1)  # the deposit has taken nonce 0
    blocks = await world.sequencer.build_up_to_l1(spending)
    world.l1.mine([world.batch(*world.sequencer.blocks)])
    verifier = world.verifier()
    safe = await verifier.sync()
    assert safe.hash == blocks[-1].hash
    receipts = await verifier.engine.receipts(blocks[0].hash)
    assert [Receipt.decode(raw).status for raw in receipts] == [1] * len(blocks[0].transactions)
    assert spending in blocks[0].transactions


@ERAS
async def test_a_new_batcher_counts_from_the_l1_block_that_names_it(fork: Fork) -> None:
    world, successor = World.at(fork), Wallet.named("successor")
    l1 = world.l1
    l1.mine()
    first = await world.sequencer.build_up_to_l1()
    stranger = l1.batcher_tx(encode_frames(world.channel(*first)), wallet=successor)
    l1.mine([stranger])
    verifier = world.verifier()
    assert (await verifier.sync()).number == 0
    frames = encode_frames(world.channel(*first))
    change = l1.config_update(l1_logs.BATCHER, successor.address)
    l1.mine([l1.batcher_tx(frames, wallet=successor), change])
    assert (await verifier.sync()).hash == first[-1].hash
    second = await world.sequencer.build_up_to_l1()
    l1.mine([world.batch(*second)])  # by the old one
    assert (await verifier.sync()).hash == first[-1].hash
    l1.mine([l1.batcher_tx(encode_frames(world.channel(*second)), wallet=successor)])
    assert (await verifier.sync()).hash == second[-1].hash
    _, config = read_l2_block(second[-1], world.config)
    assert config.batcher == successor.address


@ERAS
async def test_a_new_gas_limit_begins_with_the_epoch_of_its_l1_block(fork: Fork) -> None:
    world = World.at(fork)
    world.l1.mine([world.l1.config_update(l1_logs.GAS_LIMIT, 25_000_000)])
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    world.l1.mine([world.batch(*blocks)])
    verifier = world.verifier()
    assert (await verifier.sync()).hash == blocks[-1].hash
    limits = [(await verifier.engine.block(L2Number(number))).gas_limit for number in range(len(blocks) + 1)]
    epochs = [0, *(read_l2_block(block, world.config)[0].l1_origin.number for block in blocks)]
    assert limits == [25_000_000 if epoch else 30_000_000 for epoch in epochs]
    assert 0 < sum(bool(epoch) for epoch in epochs) < len(epochs)


@pytest.mark.parametrize("span", [False, True], ids=["single", "span"])
@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_a_channel_over_many_l1_blocks_arrives_with_its_last_frame(fork: Fork, span: bool) -> None:
    world = World.at(fork, seq_window_size=60, channel_timeout=50)
    for _ in range(2):
        world.l1.mine()
        await world.sequencer.build_up_to_l1(*(world.transfer(ALICE, BOB) for _ in range(4)))
    frames = world.channel(*world.sequencer.blocks, span=span, frame_size=150)
    assert len(frames) > 3
    verifier = world.verifier()
    for frame in frames[:-1]:
        world.l1.mine([world.l1.batcher_tx(encode_frames([frame]))] if frame.number < 3 else ())
        assert (await verifier.sync()).number == 0
    world.l1.mine([world.l1.batcher_tx(encode_frames([frame])) for frame in frames[3:]])
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_blobs_and_call_data_are_read_in_the_order_of_the_block(fork: Fork) -> None:
    world = World.at(fork)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    early, late = blocks[:2], blocks[2:]
    blob = blob_codec.encode(encode_frames(world.channel(*early)))
    world.l1.mine([world.l1.blob_tx([blob]), world.batch(*late)])
    verifier = world.verifier()
    assert (await verifier.sync()).hash == blocks[-1].hash


@ERAS
async def test_garbage_in_the_inbox_is_judged_and_harms_nothing(fork: Fork) -> None:
    world = World.at(fork)
    l1 = world.l1
    l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    stranger = Wallet.named("stranger")
    garbage = [b"", b"\0", b"\1commitment", b"\0" + b"\xff" * 40, b"\7frames"]
    l1.mine(
        [
            *(l1.batcher_tx(data) for data in garbage),
            l1.batcher_tx(encode_frames(world.channel(*blocks)), wallet=stranger),
            l1.batcher_tx(encode_frames(world.channel(*blocks)), to=stranger.address),
            world.batch(*blocks),
        ]
    )
    verifier = world.verifier()
    assert (await verifier.sync()).hash == blocks[-1].hash
    dropped = [verdict for verdict in verifier.verdicts if verdict.outcome is Outcome.DROPPED]
    assert len(dropped) >= len(garbage)
    assert {verdict.subject for verdict in dropped} <= {Subject.TRANSACTION, Subject.DATA, Subject.FRAME}
    assert all(verdict.origin is not None and verdict.origin.number == 2 for verdict in dropped)


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_blocks_that_the_engine_has_are_confirmed_and_not_made_again(fork: Fork) -> None:
    world = World.at(fork)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    world.l1.mine([world.batch(*blocks[:4])])
    engine = world.sequencer.engine
    genesis = (await engine.block(L2Label.SAFE)).hash
    await engine.set_heads(ForkchoiceState(unsafe=blocks[-1].hash, safe=genesis, finalized=genesis))
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == blocks[3].hash
    assert await verifier.labels() == (len(blocks), 4, 0)
    assert all(derived.consolidated for derived in verifier.derived)
    assert verifier.driver.heads.unsafe.hash == blocks[-1].hash


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_unsafe_blocks_that_l1_contradicts_are_replaced(fork: Fork) -> None:
    world = World.at(fork)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    engine = world.sequencer.engine
    genesis = (await engine.block(L2Label.SAFE)).hash
    await engine.set_heads(ForkchoiceState(unsafe=blocks[-1].hash, safe=genesis, finalized=genesis))
    world.sequencer.rewind(2)
    others = await world.sequencer.build_up_to_l1(world.transfer(BOB, ALICE))
    world.l1.mine([world.batch(*blocks[:2], *others[:2])])
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == others[1].hash
    assert await verifier.labels() == (4, 4, 0)
    assert [derived.consolidated for derived in verifier.derived] == [True, True, False, False]


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_a_span_batch_becomes_safe_as_a_whole_or_block_by_block(fork: Fork) -> None:
    """Before strict order the safe head waits for the last block of the span batch."""
    world = World.at(fork)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    world.l1.mine([world.batch(*blocks, span=True)])
    verifier = world.verifier()
    assert (await verifier.sync()).hash == blocks[-1].hash
    moved = [event.safe.number for event in verifier.events if isinstance(event, HeadsMoved)]
    assert moved == ([len(blocks)] if fork is Fork.ECOTONE else list(range(1, len(blocks) + 1)))


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
async def test_a_batch_with_a_transaction_that_cannot_be_executed(fork: Fork) -> None:
    """Before strict order the batch is dropped, and the block comes with a later one; in it, only deposits remain."""
    world = World.at(fork)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    bad = world.transfer(CAROL, BOB, ETHER)  # has no money
    broken = world.singular(blocks[2])
    frames = world.channel_of([*map(world.singular, blocks[:2]), world.with_transactions(broken, bad)])
    world.l1.mine([world.l1.batcher_tx(encode_frames(frames))])
    verifier = world.verifier()
    safe = await verifier.sync()
    if fork is Fork.JOVIAN:
        assert safe.number == 3
        assert (await verifier.engine.block(L2Number(3))).hash == blocks[2].hash
        assert verifier.derived[-1].batch == "deposits-only"
    else:
        assert safe.number == 2
        world.l1.mine([world.batch(*blocks[2:])])
        assert (await verifier.sync()).hash == blocks[-1].hash
