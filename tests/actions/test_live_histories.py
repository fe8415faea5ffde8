"""Whatever happens to a live node, it arrives where a fresh one does that sees only the present L1."""

from __future__ import annotations

import random

import pytest
import trio

from kroma_core.api import Gone, Inconsistent, Syncing
from kroma_core.codec.deposits import is_deposit
from kroma_core.errors import TemporaryError
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import L2Label
from tests.actions.actors import ALICE, BOB, Stumbling, World, new_engine, new_store
from tests.actions.live import rest, running

FAULTS = [
    ("build", TemporaryError("refused")),
    ("build", Syncing()),
    ("seal", Gone()),
    ("execute", Syncing()),
    ("set_heads", Inconsistent(reason="unknown")),
    ("set_heads", TemporaryError("refused")),
    ("block", TemporaryError("refused")),
]


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
@pytest.mark.parametrize("seed", range(6))
async def test_any_history_of_a_live_node_ends_where_a_fresh_node_arrives(seed: int, fork: Fork) -> None:
    dice = random.Random(seed)
    world = World.at(fork)
    store = new_store()
    sequencer = world.sequencer
    engine = Stumbling(new_engine(world.config, store))
    verifier = world.verifier(engine)
    async with running(verifier):
        for _ in range(30):
            await sequencer.follow_l1()
            match dice.randrange(10):
                case 0 | 1:
                    world.l1.mine()
                    await sequencer.build_up_to_l1(_transfer(world, dice))
                case 2 | 3:
                    if sequencer.blocks:
                        first = dice.randrange(len(sequencer.blocks))
                        world.l1.mine([world.batch(*sequencer.blocks[first:], span=dice.random() < 0.5)])
                case 4:
                    for block in dice.sample(sequencer.blocks, len(sequencer.blocks) // 2):
                        await verifier.driver.submit_unsafe(block, "test")
                case 5:
                    depth = dice.randrange(1, 4)
                    if world.l1.tip.header.number > depth:
                        world.l1.reorg(depth)
                        world.l1.mine_empty(dice.randrange(depth + 2))
                case 6:
                    engine.instead(*dice.choice(FAULTS), times=dice.randrange(1, 3))
                case 7:
                    engine.replace(new_engine(world.config, store))
                case 8:
                    if dice.random() < 0.3:
                        verifier.driver.request_reset("test")
                    elif world.l1.tip.header.number > 6:
                        number = world.l1.tip.header.number - 6
                        final = await world.l1.block((await world.l1.ref(number)).hash)
                        if (verifier.driver.status().current_l1_finalized or world.l1.genesis.ref).number <= number:
                            world.l1.mark(L1Label.FINALIZED, final)
                case 9:  # the sequencer changes its mind
                    sequencer.rewind(len(sequencer.blocks) * 2 // 3)
                    await sequencer.build_up_to_l1(_transfer(world, dice))
            if dice.random() < 0.5:
                await rest()
            if dice.random() < 0.3:
                await trio.sleep(dice.randrange(20))
        world.l1.mine_empty(5)  # longer than every abandoned branch
        await trio.sleep(100)
        fresh = await world.verifier().sync()
        assert verifier.driver.heads.safe == fresh
        heads = verifier.driver.heads
        assert heads.finalized.number <= heads.safe.number <= heads.unsafe.number
        assert (await engine.part.block(L2Label.SAFE)).hash == heads.safe.hash


def _transfer(world: World, dice: random.Random) -> bytes:
    """A transaction that fits the sequencer's present chain; all of them are Alice's."""
    sent = [raw for block in world.sequencer.blocks for raw in block.transactions if not is_deposit(raw)]
    return world.transfer(ALICE, BOB, value=dice.randrange(1, 100), nonce=len(sent))
