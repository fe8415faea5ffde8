"""A start from an L2 block that the operator trusts, on an engine that has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Applied, Capability, Facts
from kroma_core.chain.config import ChainConfig
from kroma_core.errors import CriticalError, NotFound
from kroma_core.events import BlockDerived, Event, PipelineReset
from kroma_core.forks import Fork
from kroma_core.l1 import L1Label
from kroma_core.l2 import ForkchoiceState, L2Label, Payload
from kroma_core.node.chain_choice import chain_of_recording
from kroma_core.node.driver import Driver
from kroma_core.node.live_check import LiveReport, check_live
from kroma_core.node.plan import plan_profile
from kroma_core.node.profile import SyncMode
from kroma_core.node.registry import collect
from kroma_core.node.retry import IMPATIENT
from kroma_core.recording import Recording, open_recording
from kroma_core.testing.scripted_l1 import ScriptedL1
from kroma_core.types import ZERO_HASH
from tests.actions.actors import ALICE, BOB, Stumbling, Verifier, World, blob, calldata, new_engine
from tests.actions.live import of, running, submit
from tests.node.sample_parts import SamplePlugin, offer
from tests.vectors.unit_files import OWN_VECTORS

cassette = pytest.importorskip(
    "kroma_l1_cassette.l1_source", reason="recorded L1s are played by the plugin l1_cassette"
)
cassette_engine = pytest.importorskip("kroma_l1_cassette.engine", reason="the plugin l1_cassette plays recordings")
l1_blobs = pytest.importorskip("kroma_l1_cassette.blob_source", reason="the plugin l1_cassette plays recordings")


SHORT = "kroma-chains/span-overlap-zk"


async def long_world(blocks_on_l1: int = 30) -> World:
    """A chain whose blocks are all batched, in an L1 with windows of ten blocks and six L2 blocks to one of L1."""
    world = World.at(Fork.JOVIAN)
    while world.l1.tip.header.number < blocks_on_l1:
        world.l1.mine()
        made = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
        world.l1.mine([world.batch(*made)])
    return world


async def copied_engine(world: World, upto: int | None = None) -> Any:
    """An engine with the blocks and states of the chain up to a block, that has never been told of a head."""
    engine = new_engine(world.config)
    for block in world.sequencer.blocks[:upto]:
        await engine.execute(block)
    return engine


def numbered(world: World, number: int) -> Payload:
    return world.sequencer.blocks[number - 1]


async def refusal(verifier: Verifier) -> str:
    verifier.driver.resets_without_progress = 2  # what is not refused, and cannot go on, ends too
    with pytest.raises(CriticalError) as caught:
        await verifier.sync()
    return str(caught.value)


async def test_derivation_begins_above_the_checkpoint() -> None:
    world = await long_world()
    trusted = numbered(world, 40)
    verifier = world.verifier(await copied_engine(world), checkpoint=trusted.hash)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.derived[0].block.number == 41
    assert of(verifier.events, PipelineReset)[0].reason == f"start, trusting L2 block {trusted.id}"


async def test_the_engine_needs_no_state_but_that_of_the_checkpoint() -> None:
    world = await long_world()
    trusted = numbered(world, 40)

    class Pruned(Stumbling):
        async def storage_root(self, address: bytes, block_hash: bytes) -> bytes:
            if block_hash != trusted.hash:
                raise NotFound("pruned")
            return await self.part.storage_root(address, block_hash)  # type: ignore[no-any-return]

    verifier = world.verifier(Pruned(await copied_engine(world, 40)), checkpoint=trusted.hash)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert not any(block.consolidated for block in verifier.derived)


async def test_l1_is_read_from_the_channels_on_that_were_open_at_the_checkpoint() -> None:
    """From the granite rules on a channel may be open for 50 L1 blocks."""
    world = await long_world(64)
    trusted = numbered(world, 360)
    verifier = world.verifier(await copied_engine(world), checkpoint=trusted.hash)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    [began] = of(verifier.events, PipelineReset)
    assert began.safe == trusted.id
    origin = verifier.derived[0].block.l1_origin.number
    assert origin - 52 <= began.l1_start.number <= origin - 50


async def test_blocks_of_the_engine_above_the_checkpoint_are_kept_where_l1_confirms_them() -> None:
    world = await long_world()
    engine = await copied_engine(world)
    head = world.sequencer.blocks[-1]
    genesis = world.config.rollup.genesis.l2.hash
    assert await engine.set_heads(ForkchoiceState(unsafe=head.hash, safe=genesis, finalized=genesis)) == Applied()
    verifier = world.verifier(engine, checkpoint=numbered(world, 40).hash)
    await verifier.sync()
    assert [block.block.number for block in verifier.derived] == list(range(41, head.number + 1))
    assert all(block.consolidated for block in verifier.derived)


async def test_an_engine_that_is_further_goes_on_where_it_is() -> None:
    world = await long_world(40)
    inner = new_engine(world.config)
    await world.verifier(inner).sync()
    plain = world.verifier(inner)
    await plain.sync()
    engine = Stumbling(inner)
    verifier = world.verifier(engine, checkpoint=numbered(world, 5).hash)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.derived[0].block.number == plain.derived[0].block.number > 5
    assert "storage_root" not in engine.calls


async def test_the_search_of_an_engine_that_is_a_little_further_ends_at_the_checkpoint() -> None:
    world = await long_world()
    engine = new_engine(world.config)
    await world.verifier(engine).sync()
    trusted = world.sequencer.blocks[-3]
    verifier = world.verifier(engine, checkpoint=trusted.hash)
    await verifier.sync()
    assert [block.block.number for block in verifier.derived] == [trusted.number + 1, trusted.number + 2]


async def test_a_long_chain_that_nobody_called_safe_is_trusted_up_to_the_checkpoint_only() -> None:
    """Without one it would be taken for a chain that the engine has fetched by itself, and trusted to its end."""
    world = World.at(Fork.JOVIAN, seq_window_size=2)
    while world.l1.tip.header.number < 40:
        world.l1.mine()
        made = await world.sequencer.build_up_to_l1()
        world.l1.mine([world.batch(*made)])
    engine = await copied_engine(world)
    head, genesis = world.sequencer.blocks[-1], world.config.rollup.genesis.l2.hash
    await engine.set_heads(ForkchoiceState(unsafe=head.hash, safe=genesis, finalized=genesis))
    verifier = world.verifier(engine, checkpoint=numbered(world, 40).hash)
    assert (await verifier.sync()).hash == head.hash
    assert verifier.derived[0].block.number == 41


async def test_an_unsafe_branch_beside_the_checkpoint_gives_way() -> None:
    world = await long_world(12)
    engine = await copied_engine(world)
    chain = list(world.sequencer.blocks)
    world.sequencer.rewind(8)
    for _ in range(12):
        branch = await world.sequencer.build(world.transfer(BOB, ALICE))
        await engine.execute(branch)
    await engine.set_heads(ForkchoiceState(unsafe=branch.hash, safe=ZERO_HASH, finalized=ZERO_HASH))
    await engine.set_heads(
        ForkchoiceState(unsafe=branch.hash, safe=chain[4].hash, finalized=world.config.rollup.genesis.l2.hash)
    )
    verifier = world.verifier(engine, checkpoint=chain[11].hash)
    assert (await verifier.sync()).hash == chain[-1].hash
    assert verifier.derived[0].block.number == 13


@pytest.mark.parametrize(("final", "finalized"), [(10, 0), (30, 40)])
async def test_a_checkpoint_is_final_only_where_no_batch_can_come_for_it_any_more(final: int, finalized: int) -> None:
    """Its L1 origin is block 6 or 7, the sequencing window ten blocks; nothing else is derived here."""
    world = await long_world()
    engine = await copied_engine(world, 40)
    world.l1.mark(L1Label.FINALIZED, await world.l1.block(world.l1.canonical_hash(final)))
    verifier = world.verifier(engine, checkpoint=numbered(world, 40).hash, l1_confirmations=25)
    await verifier.sync()
    assert verifier.driver.heads.finalized.number == finalized
    assert verifier.driver.heads.safe.number == 40


async def test_what_is_derived_above_a_checkpoint_becomes_final_as_ever() -> None:
    world = await long_world()
    verifier = world.verifier(await copied_engine(world), checkpoint=numbered(world, 40).hash)
    await verifier.sync()
    assert verifier.driver.heads.finalized.number == 0
    world.l1.mark(L1Label.FINALIZED, world.l1.tip)
    await verifier.sync()
    assert verifier.driver.heads.finalized == verifier.driver.heads.safe


async def test_a_restart_without_the_checkpoint_goes_back_as_far_as_ever() -> None:
    """What was trusted is not written down as final: a node that is not told to trust it derives it."""
    world = await long_world(12)
    engine = await copied_engine(world)
    await world.verifier(engine, checkpoint=numbered(world, 30).hash).sync()
    verifier = world.verifier(engine)
    assert (await verifier.sync()).hash == world.sequencer.blocks[-1].hash
    assert verifier.derived[0].block.number < 30


async def fetched_by_itself(world: World, checkpoint: bytes) -> Verifier:
    """A node whose engine has fetched the chain below an unsafe block that it was shown, and what came of it."""
    inner = new_engine(world.config)
    verifier = world.verifier(inner, sync_mode=SyncMode.EXECUTION_LAYER, checkpoint=checkpoint)
    *below, last = world.sequencer.blocks
    async with running(verifier):
        await submit(verifier, last)
        for block in below:
            await inner.execute(block)
        await trio.sleep(10)
    return verifier


async def test_a_chain_that_the_engine_fetches_first_may_contain_the_checkpoint() -> None:
    world = await long_world(8)
    verifier = await fetched_by_itself(world, numbered(world, 9).hash)
    assert verifier.driver.started
    assert verifier.driver.heads.safe.hash == world.sequencer.blocks[-1].hash


async def test_a_chain_that_the_engine_fetches_first_without_the_checkpoint_is_refused() -> None:
    world = await long_world(8)
    with pytest.raises(ExceptionGroup) as caught:
        await fetched_by_itself(world, bytes(32))
    assert caught.group_contains(CriticalError, match="the engine does not have that block")


# --- a chain of the reference clients


@asynccontextmanager
async def derived_once(name: str, engine_of: Callable[[Recording, ChainConfig], Any]) -> AsyncIterator[tuple[Any, Any]]:
    """An engine that was driven through a recorded chain and then told that genesis is its head.

    With it a function that makes a driver on it, and on the recorded L1 from its beginning.
    """
    problems: list[str] = []
    with open_recording(OWN_VECTORS / f"{name}.json.xz") as recording:
        chain = chain_of_recording(recording.path, problems)
        assert chain is not None
        assert recording.expected is not None
        engine = engine_of(recording, chain)

        def driver(events: list[Event], **settings: Any) -> Driver:
            l1 = cassette.CassetteL1(recording, follow=False)
            data = (calldata.CallData(), blob.BlobData([l1_blobs.CassetteBlobs(recording)]))
            return Driver(
                config=chain, l1=l1, data=data, engine=engine, emit=events.append, policy=IMPATIENT, **settings
            )

        await driver([]).follow()
        assert (await engine.block(L2Label.SAFE)).number == recording.expected.block_count
        genesis = chain.rollup.genesis.l2.hash
        assert await engine.set_heads(ForkchoiceState(unsafe=genesis, safe=genesis, finalized=genesis)) == Applied()
        yield driver, recording.expected


@pytest.mark.parametrize("name", ["op-chains/upgrade-bedrock-to-jovian", "kroma-chains/canyon-zk"])
async def test_a_recorded_chain_is_derived_from_a_checkpoint_on(name: str) -> None:
    async with derived_once(name, lambda recording, chain: new_engine(chain)) as (driver, expected):
        count = expected.block_count
        trusted, events = expected.block(count // 2), list[Event]()
        again = driver(events, checkpoint=trusted.hash)
        await again.follow()
        assert again.heads.safe.hash == expected.block(count).hash
        derived = [event.block for event in of(events, BlockDerived)]
        assert [block.number for block in derived] == list(range(count // 2 + 1, count + 1))
        assert [block.hash for block in derived] == [expected.block(block.number).hash for block in derived]


async def test_an_engine_that_has_recorded_blocks_and_no_state_is_refused() -> None:
    async with derived_once(SHORT, cassette_engine.recorded_engine) as (driver, expected):
        trusted = expected.block(expected.block_count // 2)
        with pytest.raises(CriticalError) as caught:
            await driver([], checkpoint=trusted.hash).follow()
    assert f"the engine has L2 block {trusted.id}, but not the state after it (the recorded engine" in str(caught.value)


LIVE_PROFILE = """
[chain]
recording = "{recording}"
[l1]
kind = "sample"
[[data]]
kind = "sample"
[engine]
kind = "server"
[node]
checkpoint = "0x{checkpoint}"
"""


async def asked(engine: Any, checkpoint: bytes, folder: Path) -> LiveReport:
    """What `kroma check --live` finds out from a server that is this engine."""

    @asynccontextmanager
    async def opened(settings: Any, context: Any) -> AsyncIterator[Any]:
        yield engine

    async def inspect(settings: Any, context: Any) -> tuple[Facts, ...]:
        return (Facts(server="http://engine"),)

    server = attrs.evolve(offer("server", capabilities=frozenset({Capability.EXECUTES})), open=opened, inspect=inspect)
    installed = collect([("acme", "1", SamplePlugin(l1=[offer("sample")], data=[offer("sample")], engine=[server]))])
    path = folder / "node.toml"
    recording = OWN_VECTORS / f"{SHORT}.json.xz"
    path.write_text(LIVE_PROFILE.format(recording=recording, checkpoint=checkpoint.hex()))
    return await check_live(plan_profile(path, installed, {}))


async def test_a_server_is_asked_for_the_checkpoint_before_the_first_start(tmp_path: Path) -> None:
    async with derived_once(SHORT, lambda recording, chain: new_engine(chain)) as (driver, expected):
        engine, trusted = driver([]).engine, expected.block(10)
        before = await engine.heads()
        report = await asked(engine, trusted.hash, tmp_path)
        assert report.problems == ()
        assert report.servers[-1] == f"engine server: it has the checkpoint, L2 block {trusted.id}"
        assert await engine.heads() == before
        [problem] = (await asked(engine, bytes(32), tmp_path)).problems
        assert problem.startswith(f"engine 'server' (acme 1): checkpoint 0x{'00' * 32}: the engine does not have that")


async def test_a_server_without_the_state_is_told_before_the_first_start(tmp_path: Path) -> None:
    async with derived_once(SHORT, cassette_engine.recorded_engine) as (driver, expected):
        [problem] = (await asked(driver([]).engine, expected.block(10).hash, tmp_path)).problems
        assert "but not the state after it" in problem


# --- refused


async def test_a_hash_that_the_engine_does_not_have_says_how_to_get_there() -> None:
    world = await long_world(6)
    told = await refusal(world.verifier(checkpoint=bytes(31) + b"\x07"))
    assert told.startswith(f"checkpoint 0x{'00' * 31}07: the engine does not have that block")
    assert "copy the data directory of a node that has it" in told
    assert 'sync_mode = "execution-layer"' in told


async def test_a_block_whose_state_the_engine_does_not_have_is_refused() -> None:
    world = await long_world(6)
    engine = Stumbling(await copied_engine(world))
    engine.always("storage_root", NotFound("missing trie node"))
    trusted = numbered(world, 10)
    told = await refusal(world.verifier(engine, checkpoint=trusted.hash))
    assert f"the engine has L2 block {trusted.id}, but not the state after it (missing trie node)" in told
    assert "copy the data directory" in told


async def test_blocks_that_derivation_reads_below_the_checkpoint_have_to_be_there() -> None:
    world = await long_world(12)
    trusted = numbered(world, 40)
    missing = numbered(world, 35).hash

    class Snapshot(Stumbling):
        async def block(self, which: object) -> Payload:
            if which == missing:
                raise NotFound("not in the snapshot")
            return await self.part.block(which)  # type: ignore[no-any-return]

    told = await refusal(world.verifier(Snapshot(await copied_engine(world)), checkpoint=trusted.hash))
    assert "the engine lacks L2 block 35, below the checkpoint 40" in told


async def test_genesis_is_no_checkpoint() -> None:
    world = await long_world(6)
    told = await refusal(world.verifier(checkpoint=world.config.rollup.genesis.l2.hash))
    assert "expected a block after genesis (0), got block 0" in told


async def test_an_engine_of_another_chain_is_refused_though_it_has_the_block() -> None:
    world = await long_world(6)
    other = World.at(Fork.JOVIAN, l1=ScriptedL1(genesis_time=1_800_000_000))
    block = await other.sequencer.build()
    told = await refusal(world.verifier(other.sequencer.engine, checkpoint=block.hash))
    assert "the engine holds another chain: its block 0 is 0x" in told
    assert other.config.rollup.genesis.l2.hash.hex() in told
    assert world.config.rollup.genesis.l2.hash.hex() in told


async def test_a_block_whose_l1_origin_is_on_another_l1_is_refused() -> None:
    world = await long_world(6)
    trusted = numbered(world, 20)
    world.l1.reorg(5)
    world.l1.mine_empty(8)
    told = await refusal(world.verifier(await copied_engine(world), checkpoint=trusted.hash))
    assert f"L2 block {trusted.id} has L1 origin" in told
    assert "it rests on another L1, or on a branch that L1 has given up" in told


async def test_a_hash_that_contradicts_what_the_engine_holds_for_safe_is_refused() -> None:
    world = await long_world(12)
    engine = new_engine(world.config)
    await world.verifier(engine).sync()
    expected = numbered(world, 9)
    world.sequencer.rewind(8)
    other = await world.sequencer.build(world.transfer(BOB, ALICE))
    await engine.execute(other)
    told = await refusal(world.verifier(engine, checkpoint=other.hash))
    assert f"below it block 9 is 0x{expected.hash.hex()}: one of the two is wrong" in told


async def test_a_refused_checkpoint_leaves_the_engines_heads_alone() -> None:
    world = await long_world(6)
    engine = await copied_engine(world)
    before = await engine.heads()
    await refusal(world.verifier(engine, checkpoint=bytes(32)))
    assert await engine.heads() == before


async def test_an_l1_reorg_below_the_checkpoint_waits_for_the_chain_that_it_rests_on() -> None:
    world = await long_world(12)
    verifier = world.verifier(
        await copied_engine(world), checkpoint=numbered(world, 30).hash, resets_without_progress=2
    )
    await verifier.sync()
    world.l1.reorg(10)
    world.l1.mine_empty(14)
    told = await refusal(verifier)
    assert "L1 reorg below what is trusted: L2 block 30" in told
