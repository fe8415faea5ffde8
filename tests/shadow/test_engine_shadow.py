"""Engines in the shadow of an engine: what is compared, how one that is elsewhere comes along, and what it notices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio
import trio.testing

from kroma_core.api import Building, Invalid, Sealed, Syncing, Valid
from kroma_core.api.queries import Pooled
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import TemporaryError
from kroma_core.events import Diverged, Event, FollowerAgreed, FollowerBehind, FollowerDetached
from kroma_core.forks import Fork
from kroma_core.l2 import ForkchoiceState, Payload, PayloadAttributes
from kroma_core.node.chain_choice import ChainFiles
from kroma_core.node.shadow.bundle import Bundle, BundleWriter, read_bundle
from kroma_core.node.shadow.divergence import PartVersion
from kroma_core.node.shadow.engine import ShadowedEngine
from kroma_core.node.shadow.engine_answer import EngineStep, attributes_of
from kroma_core.node.shadow.engine_bundle import read_engine_inputs
from kroma_core.node.shadow.engine_comparison import EngineComparison
from kroma_core.node.shadow.engine_follower import EngineFollower
from kroma_core.node.shadow.follower import Follower
from kroma_core.node.shadow.leading import following
from kroma_core.node.shadow.panel import Panel
from kroma_core.node.shadow.table import ShadowPolicy
from kroma_core.types import Gas, L2Number
from tests.actions.actors import ALICE, BOB, Stumbling, Verifier, World, new_engine
from tests.shadow.at_once import at_once

LEADER = PartVersion(kind="right", distribution="tests", version="1.0")
FOLLOWER = PartVersion(kind="other", distribution="tests", version="2.0")
NO_FILES = ChainFiles(rollup={}, l1={}, genesis=None)


@attrs.define(kw_only=True)
class Pair:
    """A node's driver on a leading engine, and one engine in its shadow."""

    world: World
    verifier: Verifier
    leader: Stumbling
    follower: Stumbling
    task: Follower[EngineStep]
    events: list[Event]

    async def epoch(self) -> list[Payload]:
        """Some more L2 blocks, and their batch on L1; derived."""
        self.world.l1.mine()
        blocks = await self.world.sequencer.build_up_to_l1(self.world.transfer(ALICE, BOB))
        self.world.l1.mine([self.world.batch(*blocks)])
        await self.verifier.sync()
        return blocks

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def agreed(self) -> list[int]:
        """Numbers of the blocks that both gave."""
        return [int(event.at.split()[2]) for event in self.told(FollowerAgreed)]

    async def head(self) -> int:
        """Where the follower's own head is."""
        return (await EngineFollower(self.follower, self.world.config).head()).number

    def bundle(self) -> Bundle:
        [event] = self.told(Diverged)
        return read_bundle(Path(event.bundle))


def pair(tmp_path: Path, *, follower: Any = None, leader: Any = None, fork: Fork = Fork.JOVIAN) -> Pair:
    world = World.at(fork)
    events: list[Event] = []
    leading = Stumbling(leader or new_engine(world.config))
    other = Stumbling(follower or new_engine(world.config))
    panel = Panel(
        policy=ShadowPolicy.REPORT,
        leader_name="leader",
        leader=LEADER,
        bundles=BundleWriter(folder=tmp_path, chain=lambda: NO_FILES, made_by="tests", clock=lambda: 1_700_000_000.0),
        emit=events.append,
        aside=at_once,
    )

    @asynccontextmanager
    async def opened() -> AsyncIterator[EngineComparison]:
        yield EngineComparison(
            leading=leading,
            follower=EngineFollower(other, world.config),
            config=world.config,
            leader_version=LEADER,
            follower_version=FOLLOWER,
            waiting=task.steps,
        )

    task: Follower[EngineStep] = Follower(name="follower", open=opened, panel=panel, emit=events.append)
    stand_in = ShadowedEngine(leading, world.config, [task])
    verifier = world.verifier(stand_in)
    return Pair(world=world, verifier=verifier, leader=leading, follower=other, task=task, events=events)


def followed(found: Pair, body: Callable[[], Awaitable[None]]) -> None:
    """Run `body` with the follower beside it, which finishes what waits; time passes by itself."""

    async def main() -> None:
        with trio.fail_after(10_000):
            async with following([found.task]):
                await body()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.02))


def test_every_block_of_a_right_engine_is_agreed_on(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        assert len(await found.epoch()) == 6

    followed(found, body)
    assert found.agreed == [1, 2, 3, 4, 5, 6]
    assert found.told(Diverged) == found.told(FollowerDetached) == []


def test_the_follower_has_the_heads_of_the_leading_engine(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        await found.epoch()

    followed(found, body)
    own = trio.run(found.follower.part.heads)
    assert own == trio.run(found.leader.part.heads)


class Elsewhere:
    """An engine that puts the fees of one block into another pocket: a valid block, and not the one that was asked."""

    def __init__(self, part: Any, number: int) -> None:
        self._part, self._number = part, number

    def __getattr__(self, method: str) -> Any:
        return getattr(self._part, method)

    async def build(self, parent: bytes, attributes: PayloadAttributes, heads: ForkchoiceState) -> Any:
        if (await self._part.block(parent)).number == self._number - 1:
            attributes = attrs.evolve(attributes, fee_recipient=BOB.address)
        return await self._part.build(parent, attributes, heads)


def test_a_block_that_differs_is_told_with_its_fields_and_ends_the_comparison(tmp_path: Path) -> None:
    config = World.at(Fork.JOVIAN).config
    found = pair(tmp_path, follower=Elsewhere(new_engine(config), 3))

    async def body() -> None:
        await found.epoch()

    followed(found, body)
    assert found.agreed == [1, 2]
    [event] = found.told(Diverged)
    assert event.at.startswith("L2 block 3 ")
    [detached] = found.told(FollowerDetached)
    assert detached.delay is None
    fields = [one.field for one in found.bundle().divergence.differences]
    assert {"hash", "fee_recipient"} <= set(fields)
    assert "gas_used" not in fields


def test_a_bundle_has_the_question_and_all_blocks_before_it(tmp_path: Path) -> None:
    config = World.at(Fork.JOVIAN).config
    found = pair(tmp_path, follower=Elsewhere(new_engine(config), 3))
    blocks: list[Payload] = []

    async def body() -> None:
        blocks.extend(await found.epoch())

    followed(found, body)
    divergence = found.bundle().divergence
    inputs = read_engine_inputs(divergence.inputs)
    assert inputs.base is None
    assert list(inputs.before) == blocks[:2]
    assert inputs.question.parent == blocks[1].hash
    assert inputs.question.attributes is not None
    assert inputs.question.attributes.transactions == blocks[2].transactions
    assert (divergence.leader, divergence.follower, divergence.cursor.hash) == (LEADER, FOLLOWER, blocks[2].hash)


def test_a_block_that_the_follower_alone_refuses_is_a_divergence(tmp_path: Path) -> None:
    found = pair(tmp_path)
    found.follower.at_call(2, Invalid(reason="I do not like it"), of="seal")

    async def body() -> None:
        await found.epoch()

    followed(found, body)
    assert found.agreed == [1, 2]
    [difference] = found.bundle().divergence.differences
    assert (difference.field, difference.got) == ("verdict", "invalid: I do not like it")


def test_attributes_that_both_refuse_are_agreed_on(tmp_path: Path) -> None:
    found = pair(tmp_path)
    found.leader.instead("build", Invalid(reason="one reason"))
    found.follower.instead("build", Invalid(reason="another reason"))

    async def body() -> None:
        await found.epoch()

    followed(found, body)
    assert found.told(Diverged) == []
    assert found.agreed == [1, 1]  # the block with the transaction, and the one without that takes its place


def test_attributes_that_the_leading_engine_alone_refuses_are_a_divergence(tmp_path: Path) -> None:
    found = pair(tmp_path)
    found.leader.instead("build", Invalid(reason="I do not like it"))

    async def body() -> None:
        await found.epoch()

    followed(found, body)
    [difference] = found.bundle().divergence.differences
    assert (difference.field, difference.expected) == ("verdict", "invalid: I do not like it")
    assert difference.got.startswith("valid: block 0x")
    assert found.agreed == [1]  # it goes on: the block that takes its place is the same


def test_receipts_that_differ_though_the_block_is_the_same_are_a_divergence(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        found.follower.always("receipts", (b"\x02",))
        await found.epoch()

    followed(found, body)
    fields = [one.field for one in read_bundle(Path(found.told(Diverged)[0].bundle)).divergence.differences]
    assert fields == ["receipts (count)", "receipts[0]"]
    assert found.told(FollowerDetached) == []  # it has the block, and can go on


def test_a_block_from_elsewhere_is_judged_by_both(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        found.world.l1.mine()
        block = await found.world.sequencer.build()
        await found.verifier.sync()
        engine = found.verifier.engine
        assert isinstance(await engine.execute(block), Valid)
        await engine.set_heads(attrs.evolve(await engine.heads(), unsafe=block.hash))

    followed(found, body)
    assert found.agreed == [1]


def test_a_block_from_elsewhere_that_the_follower_refuses_is_shown_in_fields(tmp_path: Path) -> None:
    """The leading engine is made to take a block whose gas is wrong; the follower makes the right one of it."""
    found = pair(tmp_path)

    async def body() -> None:
        found.world.l1.mine()
        block = await found.world.sequencer.build()
        wrong = attrs.evolve(block, gas_used=Gas(block.gas_used + 1))
        wrong = attrs.evolve(wrong, hash=block_hash_of(wrong))
        await found.verifier.sync()
        found.leader.instead("execute", Valid())
        found.leader.always("receipts", ())
        await found.verifier.engine.execute(wrong)
        await found.verifier.engine.heads()
        await found.verifier.engine.set_heads(await found.verifier.engine.heads())

    followed(found, body)
    differences = {one.field: (one.expected, one.got) for one in found.bundle().divergence.differences}
    expected, got = differences["gas_used"]
    assert int(expected) == int(got) + 1


def test_what_the_leading_engine_takes_from_its_pool_is_forced_on_the_follower(tmp_path: Path) -> None:
    found = pair(tmp_path)
    raw = found.world.transfer(ALICE, BOB)

    async def body() -> None:
        found.world.l1.mine()
        attributes = attributes_of(await found.world.sequencer.build(), found.world.config)
        await found.verifier.sync()
        engine = found.verifier.engine
        assert isinstance(await found.leader.part.add_transaction(raw), Pooled)
        heads = await engine.heads()
        building = await engine.build(heads.unsafe, attrs.evolve(attributes, no_tx_pool=False), heads)
        assert isinstance(building, Building)
        sealed = await engine.seal(building)
        assert isinstance(sealed, Sealed)
        assert raw in sealed.payload.transactions
        await engine.execute(sealed.payload)
        await engine.set_heads(attrs.evolve(heads, unsafe=sealed.payload.hash))

    followed(found, body)
    assert found.agreed == [1]
    assert found.told(Diverged) == []


def test_a_follower_that_begins_at_genesis_executes_what_came_before(tmp_path: Path) -> None:
    found = pair(tmp_path)
    late: list[int] = []

    async def body() -> None:
        await found.epoch()
        await found.task.settled()
        found.follower.replace(new_engine(found.world.config))
        blocks = await found.epoch()
        late.extend(block.number for block in blocks)

    followed(found, body)
    assert found.told(Diverged) == found.told(FollowerDetached) == []
    assert found.agreed[-1] == late[-1] == trio.run(found.head)
    assert any("executes the leading engine's blocks" in event.reason for event in found.told(FollowerBehind))


def test_a_follower_that_is_far_behind_comes_along(tmp_path: Path) -> None:
    """More blocks than are looked at one by one are missing."""
    found = pair(tmp_path)

    async def body() -> None:
        for _ in range(14):
            await found.epoch()
        await found.task.settled()
        found.follower.replace(new_engine(found.world.config))
        await found.epoch()

    followed(found, body)
    assert found.told(Diverged) == []
    assert found.agreed[-1] > 64
    assert trio.run(found.head) == found.agreed[-1]


def test_a_follower_that_has_come_further_is_only_compared(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        blocks = await found.epoch()
        found.leader.replace(new_engine(found.world.config))  # the leading engine begins anew
        again = found.world.verifier(found.verifier.engine)
        await again.sync()
        assert again.driver.heads.safe.hash == blocks[-1].hash

    followed(found, body)
    assert found.agreed == [1, 2, 3, 4, 5, 6] * 2
    assert trio.run(found.head) == 6


def test_a_follower_of_another_chain_is_detached_and_not_called_wrong(tmp_path: Path) -> None:
    other = World.at(Fork.ISTHMUS)
    found = pair(tmp_path, follower=new_engine(other.config))

    async def body() -> None:
        await found.epoch()
        with trio.move_on_after(5):
            await trio.sleep_forever()

    followed(found, body)
    assert found.told(Diverged) == []
    assert "another chain" in found.told(FollowerDetached)[0].reason


def test_a_follower_that_syncs_is_behind(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        found.follower.instead("build", Syncing(), times=3)
        await found.epoch()
        await trio.sleep(20)

    followed(found, body)
    assert found.agreed == [1, 2, 3, 4, 5, 6]
    assert found.told(FollowerBehind)[0].reason == "the engine is still syncing"


def test_a_follower_that_does_not_answer_for_a_while_misses_nothing(tmp_path: Path) -> None:
    found = pair(tmp_path)

    async def body() -> None:
        found.follower.instead("build", TemporaryError("refused the connection"), times=2)
        await found.epoch()
        await trio.sleep(60)

    followed(found, body)
    assert [event.delay for event in found.told(FollowerDetached)] == [1.0, 2.0]
    assert found.agreed == [1, 2, 3, 4, 5, 6]


def test_a_reorg_of_the_leading_engine_is_followed(tmp_path: Path) -> None:
    found = pair(tmp_path)
    world = found.world

    async def body() -> None:
        await found.epoch()
        world.l1.reorg(1)  # the batch is gone; another one comes in its place
        world.sequencer.rewind(0)
        blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB, value=2, nonce=0))
        world.l1.mine([world.batch(*blocks)])
        world.l1.mine()
        await found.verifier.sync()
        assert (await found.leader.part.heads()).unsafe == blocks[-1].hash

    followed(found, body)
    assert found.told(Diverged) == []
    assert found.agreed[:6] == [1, 2, 3, 4, 5, 6]
    assert len(found.agreed) > 6
    assert trio.run(found.follower.part.heads) == trio.run(found.leader.part.heads)


def test_attributes_are_read_out_of_a_block_as_they_were(tmp_path: Path) -> None:
    for fork in (Fork.REGOLITH, Fork.CANYON, Fork.ECOTONE, Fork.HOLOCENE, Fork.JOVIAN):
        world = World.at(fork)

        async def made(world: World = world) -> None:
            world.l1.mine()
            block = await world.sequencer.build(world.transfer(ALICE, BOB))
            again = new_engine(world.config)
            genesis = await again.block(L2Number(0))
            heads = ForkchoiceState(unsafe=genesis.hash, safe=genesis.hash, finalized=genesis.hash)
            building = await again.build(genesis.hash, attributes_of(block, world.config), heads)
            sealed = await again.seal(building)  # type: ignore[arg-type]  # the attributes are good
            assert isinstance(sealed, Sealed)
            assert sealed.payload == block

        trio.run(made)
