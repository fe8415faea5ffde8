"""When the batcher is silent for a sequencing window, L1 alone makes the chain."""

from __future__ import annotations

import pytest

from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.forks import Fork
from kroma_core.types import L2Number
from tests.actions.actors import ALICE, BOB, CAROL, World

ERAS = pytest.mark.parametrize("fork", [Fork.REGOLITH, Fork.ECOTONE, Fork.HOLOCENE, Fork.JOVIAN])
WINDOW = 4


@ERAS
async def test_empty_blocks_with_deposits_follow_when_the_window_has_passed(fork: Fork) -> None:
    world = World.at(fork, seq_window_size=WINDOW, channel_timeout=3)
    world.l1.mine([world.l1.deposit(sender=CAROL.address, to=CAROL.address, mint=5)])
    verifier = world.verifier()
    world.l1.mine_empty(WINDOW - 2)
    assert (await verifier.sync()).number == 0
    world.l1.mine_empty(1)  # the window of the genesis epoch: L1 blocks 0 to 4
    safe = await verifier.sync()
    assert safe.l1_origin.number == 0
    world.l1.mine_empty(1)
    safe = await verifier.sync()
    assert safe.l1_origin.number == 1
    assert {derived.batch for derived in verifier.derived} == {"empty"}
    first = next(derived.block for derived in verifier.derived if derived.block.l1_origin.number == 1)
    deposited = await verifier.engine.block(first.number)
    assert len(deposited.transactions) == 2
    others = [number for number in range(1, safe.number + 1) if number != first.number]
    sizes = [len((await verifier.engine.block(L2Number(number))).transactions) for number in others]
    assert sizes == [1] * len(others)


@ERAS
@pytest.mark.parametrize("late", [False, True], ids=["in the last L1 block of the window", "one L1 block later"])
async def test_a_batch_counts_until_the_last_l1_block_of_its_window(fork: Fork, late: bool) -> None:
    world = World.at(fork, seq_window_size=WINDOW, channel_timeout=3)
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    assert l2_ref(blocks[0], world.config).l1_origin.number == 0
    world.l1.mine_empty(WINDOW - 2 + late)
    world.l1.mine([world.batch(*blocks)])
    assert world.l1.tip.header.number == WINDOW + late
    verifier = world.verifier()
    await verifier.sync()
    first = await verifier.engine.block(L2Number(1))
    assert (first.hash == blocks[0].hash) is not late
    assert len(first.transactions) == (1 if late else 2)


@ERAS
async def test_the_batcher_takes_over_again_after_an_expiry(fork: Fork) -> None:
    world = World.at(fork, seq_window_size=WINDOW, channel_timeout=3)
    world.l1.mine_empty(WINDOW + 3)
    verifier = world.verifier()
    forced = await verifier.sync()
    while len(world.sequencer.blocks) < forced.number:  # the sequencer does as the protocol forces it to
        await world.sequencer.build()
    assert world.sequencer.blocks[-1].hash == forced.hash
    again = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    world.l1.mine([world.batch(*again)])
    assert (await verifier.sync()).hash == again[-1].hash
    assert {derived.batch for derived in verifier.derived} == {"empty", "singular"}
