"""The change from Kroma's ZK trie to Merkle-Patricia tries in a node that derives: batched at once, and killed."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
import trio

from kroma_core.chain.config import Family, GenesisBlock
from kroma_core.chain.genesis_json import genesis_header, zk_state_root
from kroma_core.codec.headers import Header
from kroma_core.events import Event, StateMigrating
from kroma_core.forks import KROMA_FORKS, Fork, Schedule, StateCommitment
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.testing.scripted_rollup import all_forks_until, rollup_on
from kroma_core.types import ZERO_HASH, Gas, Seconds, Timestamp
from tests.actions.actors import ALICE, BOB, ETHER, Sequencer, World, new_store, pyevm
from tests.actions.kill_sync import Sync, events_of, recorded_head
from tests.explain.explained import stalled
from tests.vectors.unit_files import OWN_VECTORS

CHANGE = 4
"""The first block with Merkle-Patricia state."""
TRANSITION = OWN_VECTORS / "kroma-chains" / "mpt-transition.json.xz"


def kroma_world(change: int = CHANGE) -> World:
    """A world of Kroma's rules in which block `change` is the first after the change of the state."""
    l1 = ScriptedL1()
    start = Timestamp(l1.genesis.header.timestamp)
    times = {**all_forks_until(Fork.KROMA_MPT, Family.KROMA), Fork.KROMA_MPT: Timestamp(start + 2 * change)}
    alloc = World.at(Fork.ECOTONE).config.genesis
    assert alloc is not None
    genesis: GenesisBlock = attrs.evolve(alloc, timestamp=start, gas_limit=Gas(30_000_000))
    rules = Schedule(table=KROMA_FORKS, times=times, block_time=Seconds(2)).at(start)
    assert rules.state is StateCommitment.ZK_TRIE
    header: Header = genesis_header(genesis, zk_state_root(genesis.alloc), rules)
    assert header.parent_hash == ZERO_HASH
    config = rollup_on(l1, forks=times, family=Family.KROMA, genesis=genesis, l2_genesis_hash=header.hash)
    return World(l1, config, Sequencer(l1, config))


@pytest.mark.parametrize("span", [True, False], ids=["span", "single"])
async def test_one_channel_may_hold_the_last_block_of_the_zk_trie_and_the_first_after_it(span: bool) -> None:
    """kroma-node waits for ever for its engine on such a span batch: the state is migrated when its parent is safe."""
    world = kroma_world()
    l1 = world.l1
    l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, ETHER))
    assert len(blocks) > CHANGE
    assert blocks[CHANGE - 1].extra_data == b"BEDROCK"
    l1.mine([world.batch(*blocks, span=span)])
    events: list[Event] = []
    verifier = world.verifier(pyevm.PyEvmEngine(world.config, new_store(), emit=events.append))
    reached = await verifier.sync()
    assert reached.hash == blocks[-1].hash
    assert (verifier.resets, verifier.retries) == ([], [])
    told = [event for event in events if isinstance(event, StateMigrating)]
    assert [(event.block, event.complete) for event in told] == [(CHANGE - 1, False)] * 2 + [(CHANGE - 1, True)]


async def test_a_stall_while_the_state_is_migrated_is_explained_by_it() -> None:
    world = kroma_world()
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, ETHER))
    world.l1.mine([world.batch(*blocks, span=True)])
    verifier = world.verifier(pyevm.PyEvmEngine(world.config, new_store(), emit=lambda event: told.append(event)))
    told = verifier.events
    await verifier.sync()
    everything = list(told)
    causes = []
    for at, event in enumerate(everything):
        if isinstance(event, StateMigrating):
            told[:] = everything[: at + 1]
            answer = stalled(world, verifier)
            causes.append(answer.data["cause"])
            if not event.complete:
                assert f"the state after block {CHANGE - 1}" in answer.summary
                assert f"{event.accounts} accounts so far" in answer.summary
    assert causes[:2] == ["migrating"] * 2
    assert causes[2] != "migrating"


async def test_a_node_that_ends_while_it_migrates_goes_on_where_it_was() -> None:
    world = kroma_world()
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, ETHER))
    world.l1.mine([world.batch(*blocks, span=True)])
    kept, done, ending = new_store(), [], trio.CancelScope()

    def end(event: Event) -> None:
        if isinstance(event, StateMigrating) and event.accounts:
            done.append(event.accounts)
            ending.cancel()

    with ending:
        await world.verifier(pyevm.PyEvmEngine(world.config, kept, emit=end)).sync()
    assert ending.cancelled_caught
    told: list[Event] = []
    again = world.verifier(pyevm.PyEvmEngine(world.config, kept, emit=told.append))
    assert (await again.sync()).hash == blocks[-1].hash
    first = next(event for event in told if isinstance(event, StateMigrating))
    assert [first.accounts] == done


async def test_a_reorg_before_the_change_has_another_state_migrated() -> None:
    world = kroma_world()
    l1 = world.l1
    genesis = l1.genesis
    l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, ETHER))
    l1.mine([world.batch(*blocks, span=True)])
    verifier = world.verifier()
    assert (await verifier.sync()).hash == blocks[-1].hash
    l1.move_to(genesis.hash)
    l1.mine([l1.deposit(sender=BOB.address, to=BOB.address, mint=9)])
    world.sequencer.rewind(0)
    others = await world.sequencer.build_up_to_l1(world.transfer(BOB, ALICE, ETHER))
    l1.mine([world.batch(*others, span=True)])
    l1.mine()
    assert (await verifier.sync()).hash == others[-1].hash
    assert others[-1].state_root != blocks[-1].state_root


def migrated(lines: list[str]) -> list[int]:
    """How many accounts each event of a log says are migrated."""
    told = [json.loads(line) for line in events_of(lines)]
    return [event["accounts"] for event in told if event["event"] == "state_migrating"]


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_node_that_is_killed_while_it_migrates_goes_on_where_it_was(tmp_path: Path, isolation: str) -> None:
    expected = recorded_head(TRANSITION)
    resumed = []
    for lot in (1, 3, 5):
        sync = Sync(tmp_path / f"killed-{lot}", TRANSITION).prepare(isolation=isolation)
        process = sync.start()
        assert process.stderr is not None
        seen: list[int] = []
        try:
            for line in process.stderr:
                seen += migrated([line])
                if len(seen) == lot:
                    break
        finally:
            process.kill()
            process.communicate()
        assert len(seen) == lot, seen
        again = sync.start()
        _, errors = again.communicate(timeout=300)
        assert again.returncode == 0, errors[-2000:]
        counts = migrated(errors.splitlines())
        resumed.append(counts)
        assert not counts or counts[0] >= seen[-1]
        assert Sync(sync.folder, TRANSITION).finished().heads["safe"] == expected
    assert any(resumed), "no process was killed in the middle"
