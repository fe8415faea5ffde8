"""What became of blocks, transactions and L1 blocks."""

from __future__ import annotations

import attrs

from kroma_core.codec.keccak import keccak256
from kroma_core.derive.frames import encode_frames
from kroma_core.forks import Fork
from kroma_core.node.explain.history import explain_block, explain_l1, explain_transaction
from kroma_core.testing.wallet import Wallet
from tests.actions.actors import World
from tests.explain.explained import NO_TIME, situation_of


async def test_a_safe_block_names_the_transactions_that_made_it() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    frames = world.channel(*blocks, frame_size=40)
    first = world.l1.batcher_tx(encode_frames(frames[:2]))
    second = world.l1.batcher_tx(encode_frames(frames[2:]))
    world.l1.mine([first])
    world.l1.mine([second])
    verifier = world.verifier()
    await verifier.sync()
    situation = situation_of(world, verifier)
    for block in blocks:
        answer = explain_block(situation, block.number, NO_TIME)
        assert answer.data["safe"]
        assert f"0x{block.hash.hex()}" in answer.summary
        assert [(one["l1"], one["transaction"], one["frames"]) for one in answer.data["transactions"]] == [
            (2, "0x" + keccak256(first.raw).hex(), [0, 1]),
            (3, "0x" + keccak256(second.raw).hex(), list(range(2, len(frames)))),
        ]
        assert answer.data["block"]["channel"] == frames[0].channel_id.hex()
    told = explain_transaction(situation, keccak256(first.raw))
    assert told.data["channels"][0]["blocks"] == [block.number for block in blocks]
    assert "read with L1 block 3" in told.data["channels"][0]["fate"]
    assert len(told.text().splitlines()) < 24


async def test_a_block_above_the_safe_head_says_what_it_waits_for() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine_empty(3)
    verifier = world.verifier()
    await verifier.sync()
    answer = explain_block(situation_of(world, verifier), 5, NO_TIME)
    assert not answer.data["safe"]
    assert answer.data["stall"]["cause"] == "no_batcher_data"


async def test_a_batch_that_was_dropped_is_told_with_its_block() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    wrong = attrs.evolve(world.singular(blocks[0]), parent_hash=b"\x77" * 32)
    frames = world.channel_of([wrong])
    sent = world.l1.batcher_tx(encode_frames(frames))
    world.l1.mine([sent])
    verifier = world.verifier()
    await verifier.sync()
    situation = situation_of(world, verifier)
    answer = explain_block(situation, 1, NO_TIME)
    (verdict,) = answer.data["verdicts"]
    assert verdict["code"] == "WRONG_PARENT"
    assert verdict["rule"] == 'derivation.md, "Batch Queue"'
    assert (verdict["channel"], verdict["batch"]) == (frames[0].channel_id.hex(), 0)
    fate = explain_transaction(situation, keccak256(sent.raw)).data["channels"][0]["fate"]
    assert "made no L2 blocks; dropped: parent hash is not that of the chain" in fate


async def test_a_strangers_transaction_is_not_the_batchers() -> None:
    world = World.at(Fork.JOVIAN)
    sent = world.l1.batcher_tx(b"\0hello", wallet=Wallet.named("stranger"))
    world.l1.mine([sent])
    verifier = world.verifier()
    await verifier.sync()
    answer = explain_transaction(situation_of(world, verifier), keccak256(sent.raw))
    assert "is not the batcher's: not sent by the batcher" in answer.summary


async def test_a_transaction_that_nobody_has_seen_is_not_found() -> None:
    world = World.at(Fork.JOVIAN)
    verifier = world.verifier()
    await verifier.sync()
    assert not explain_transaction(situation_of(world, verifier), bytes(32)).found


async def test_two_transactions_with_the_same_frame_are_told_apart() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine()
    data = encode_frames(world.channel(*await world.sequencer.build_up_to_l1(), frame_size=40)[:2])
    one, again = world.l1.batcher_tx(data), world.l1.batcher_tx(data)
    world.l1.mine([one, again])
    verifier = world.verifier()
    await verifier.sync()
    situation = situation_of(world, verifier)
    # A first frame opens its channel anew; the second transaction's are those that count.
    for sent, dropped in ((one, "given up"), (again, "waits for frame 2")):
        answer = explain_transaction(situation, keccak256(sent.raw))
        assert answer.data["channels"][0]["fate"].startswith(dropped)


async def test_an_l1_block_tells_what_was_read_in_it_and_what_came_of_it() -> None:
    world = World.at(Fork.ECOTONE)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    sent = world.batch(*blocks, span=True)
    junk = world.l1.batcher_tx(b"\x05junk")
    world.l1.mine([sent, junk])
    verifier = world.verifier()
    await verifier.sync()
    answer = explain_l1(situation_of(world, verifier), 2)
    assert [one["hash"] for one in answer.data["transactions"]] == [
        "0x" + keccak256(raw).hex() for raw in (sent.raw, junk.raw)
    ]
    assert [one["number"] for one in answer.data["blocks"]] == [block.number for block in blocks]
    assert len(answer.data["channels"]) == 1
    assert "UNKNOWN_VERSION" in [one["code"] for one in answer.data["verdicts"]]


async def test_an_l1_block_above_the_head_has_not_been_read() -> None:
    world = World.at(Fork.JOVIAN)
    verifier = world.verifier()
    await verifier.sync()
    answer = explain_l1(situation_of(world, verifier), 9)
    assert not answer.found
    assert "has not been read: derivation is at 0" in answer.summary


async def test_after_an_l1_reorg_the_old_story_is_marked_and_the_new_one_counts() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine()
    old = await world.sequencer.build_up_to_l1()
    world.l1.mine([world.batch(*old)])
    verifier = world.verifier()
    await verifier.sync()
    world.l1.reorg(2)
    await world.sequencer.follow_l1()
    world.l1.mine()
    new = await world.sequencer.build_up_to_l1()
    world.l1.mine_empty(2)
    world.l1.mine([world.batch(*world.sequencer.blocks)])
    await verifier.sync()
    assert verifier.resets
    answer = explain_block(situation_of(world, verifier), new[-1].number, NO_TIME)
    assert answer.data["safe"]
    assert answer.data["block"]["hash"] == "0x" + new[-1].hash.hex()
    assert answer.data["block"]["l1"] == world.l1.tip.header.number
    assert old[-1].hash != new[-1].hash
    assert ("earlier", f"0x{old[-1].hash.hex()} from L1 block 2, in an L1 block that was given up") in answer.facts


async def test_a_block_keeps_its_story_when_derivation_begins_anew() -> None:
    world = World.at(Fork.JOVIAN)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1()
    sent = world.batch(*blocks)
    world.l1.mine([sent])
    verifier = world.verifier()
    await verifier.sync()
    verifier.driver.request_reset("asked for")
    await verifier.sync()
    answer = explain_block(situation_of(world, verifier), 1, NO_TIME)
    assert [one["transaction"] for one in answer.data["transactions"]] == ["0x" + keccak256(sent.raw).hex()]
