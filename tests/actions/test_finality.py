"""What is final on L1 makes final what was derived from it."""

from __future__ import annotations

from kroma_core.forks import Fork
from kroma_core.l1 import L1Block, L1Label
from kroma_core.l2 import Payload
from tests.actions.actors import ALICE, BOB, World, new_engine


async def epochs(world: World, count: int) -> list[tuple[L1Block, Payload]]:
    """Epochs, each batched in the L1 block after it: that block, and the last L2 block that it gives."""
    found = []
    for _ in range(count):
        world.l1.mine()
        blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        found.append((world.l1.mine([world.batch(*blocks)]), blocks[-1]))
        rest = await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*rest)])
        await world.sequencer.build_up_to_l1()
        world.sequencer.rewind(rest[-1].number)
    return found


async def test_the_finalised_head_is_what_l1_up_to_its_final_block_gave() -> None:
    world = World.at(Fork.JOVIAN)
    made = await epochs(world, 3)
    verifier = world.verifier()
    await verifier.sync()
    assert verifier.driver.heads.finalized.number == 0
    for block, last in made:
        world.l1.mark(L1Label.FINALIZED, block)
        await verifier.sync()
        assert verifier.driver.heads.finalized.hash == last.hash
        assert (await verifier.labels())[2] == last.number
        assert verifier.driver.heads.safe.number > last.number


async def test_a_final_l1_block_ahead_of_derivation_finalises_as_far_as_derived() -> None:
    world = World.at(Fork.JOVIAN)
    await epochs(world, 2)
    world.l1.mark(L1Label.FINALIZED, world.l1.tip)
    verifier = world.verifier()
    safe = await verifier.sync()
    assert verifier.driver.heads.finalized == safe


async def test_the_finalised_head_never_goes_back() -> None:
    world = World.at(Fork.JOVIAN)
    (early, _), (late, last) = await epochs(world, 2)
    verifier = world.verifier()
    for block in (late, early):
        world.l1.mark(L1Label.FINALIZED, block)
        await verifier.sync()
        assert verifier.driver.heads.finalized.hash == last.hash


async def test_nothing_of_an_abandoned_branch_is_finalised() -> None:
    """The reorg shows first in the finalised head: the new branch is not longer yet."""
    world = World.at(Fork.JOVIAN)
    await epochs(world, 2)
    verifier = world.verifier()
    before = await verifier.sync()
    world.l1.reorg(3)
    world.l1.mark(L1Label.FINALIZED, world.l1.mine_empty(3))
    after = await verifier.sync()
    assert len(verifier.resets) == 1
    assert after.number < before.number
    assert (await verifier.labels())[2] <= after.number
    assert after == await world.verifier().sync()


async def test_a_restarted_node_keeps_what_is_final() -> None:
    world = World.at(Fork.JOVIAN)
    (block, last), _ = await epochs(world, 2)
    world.l1.mark(L1Label.FINALIZED, block)
    engine = new_engine(world.config)
    verifier = world.verifier(engine)
    await verifier.sync()
    again = world.verifier(engine)
    await again.sync()
    assert again.driver.heads.finalized.hash == last.hash == verifier.driver.heads.finalized.hash
