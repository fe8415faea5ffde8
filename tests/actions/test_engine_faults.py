"""An engine that is away, syncs, forgets, or answers with something else: the node heals, or says what is wrong."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Gone, Inconsistent, Invalid, Sealed, Syncing
from kroma_core.codec.payloads import block_hash_of
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.forks import Fork
from kroma_core.l2 import Payload
from kroma_core.types import Gas
from tests.actions.actors import ALICE, BOB, Stumbling, Verifier, World, new_engine, new_store
from tests.actions.live import rest, running, submit

MINUTE = 60


async def epoch(world: World) -> list[Payload]:
    world.l1.mine()
    blocks = await world.sequencer.build_up_to_l1(world.transfer(ALICE, BOB))
    world.l1.mine([world.batch(*blocks)])
    return blocks


async def after_a_minute_of(method: str, answer: object) -> Verifier:
    """A live node whose engine gives this answer for a minute of a derivation, and then its own."""
    world = World.at(Fork.JOVIAN)
    engine = Stumbling(new_engine(world.config))
    async with running(world.verifier(engine)) as verifier:
        engine.always(method, answer)
        blocks = await epoch(world)
        await trio.sleep(MINUTE)
        assert verifier.driver.heads.safe.number == 0
        assert verifier.driver.status().head_l1 == world.l1.tip.ref
        engine.always(method, None)
        await trio.sleep(10)
        assert verifier.driver.heads.safe.hash == blocks[-1].hash
    return verifier


@pytest.mark.parametrize("method", ["build", "seal", "execute", "set_heads"])
async def test_an_engine_that_refuses_connections_for_a_minute_is_waited_for(method: str) -> None:
    verifier = await after_a_minute_of(method, TemporaryError("127.0.0.1:8551 refused the connection"))
    assert verifier.resets == []
    assert {retry.error for retry in verifier.retries} == {"127.0.0.1:8551 refused the connection"}
    assert len(verifier.retries) < 12


@pytest.mark.parametrize("method", ["build", "execute"])
async def test_an_engine_that_syncs_for_a_minute_is_waited_for(method: str) -> None:
    verifier = await after_a_minute_of(method, Syncing())
    assert verifier.resets == []
    assert {retry.error.rpartition(": ")[2] for retry in verifier.retries} == {"the engine is still syncing"}


@pytest.mark.parametrize("fork", [Fork.ECOTONE, Fork.JOVIAN])
@pytest.mark.parametrize("method", ["build", "seal", "execute"])
async def test_a_block_that_the_engine_finds_invalid_is_dropped_or_made_of_deposits(method: str, fork: Fork) -> None:
    world = World.at(fork)
    engine = Stumbling(new_engine(world.config))
    async with running(world.verifier(engine)) as verifier:
        engine.instead(method, Invalid(reason="bad luck"))
        blocks = await epoch(world)
        await rest()
        if fork is Fork.JOVIAN:  # replaced, and what follows does not fit it
            assert [block.batch for block in verifier.derived] == ["deposits-only"]
        else:
            assert verifier.derived == []
            world.l1.mine([world.batch(*blocks)])
            await rest()
            assert verifier.driver.heads.safe.hash == blocks[-1].hash
    assert verifier.resets == []


async def test_an_engine_that_restarts_while_it_builds_is_asked_again() -> None:
    world = World.at(Fork.JOVIAN)
    store = new_store()
    engine = Stumbling(new_engine(world.config, store))
    async with running(world.verifier(engine)) as verifier:

        async def restarting(*arguments: Any) -> Any:
            engine.replace(new_engine(world.config, store))
            return await engine.part.seal(*arguments)

        engine.do_instead("seal", restarting)
        blocks = await epoch(world)
        await trio.sleep(10)
        assert verifier.driver.heads.safe.hash == blocks[-1].hash
    assert [retry.error.rpartition(": ")[2] for retry in verifier.retries] == ["the engine has forgotten it"]


@pytest.mark.parametrize("live_from", ["derivation", "unsafe blocks"])
async def test_an_engine_that_comes_back_without_its_blocks_gets_them_again(live_from: str) -> None:
    world = World.at(Fork.JOVIAN)
    engine = Stumbling(new_engine(world.config))
    async with running(world.verifier(engine)) as verifier:
        await epoch(world)
        await rest()
        assert verifier.driver.heads.safe.number == 6
        engine.replace(new_engine(world.config))
        if live_from == "derivation":
            await epoch(world)
        else:
            await submit(verifier, await world.sequencer.build())
            world.l1.mine([world.batch(*world.sequencer.blocks)])
        await trio.sleep(10)
        assert verifier.driver.heads.safe.hash == world.sequencer.blocks[-1].hash
    assert len(verifier.resets) == 1
    assert "the engine no longer has L2 block 6" in verifier.resets[0]


async def test_heads_that_the_engine_does_not_know_are_found_anew() -> None:
    world = World.at(Fork.JOVIAN)
    engine = Stumbling(new_engine(world.config))
    async with running(world.verifier(engine)) as verifier:
        engine.instead("set_heads", Inconsistent(reason="unknown safe block"))
        blocks = await epoch(world)
        await rest()
        assert verifier.driver.heads.safe.hash == blocks[-1].hash
    assert len(verifier.resets) == 1


async def test_a_live_node_never_gives_up_on_an_engine_that_calls_its_heads_inconsistent() -> None:
    world = World.at(Fork.JOVIAN)
    engine = Stumbling(new_engine(world.config))
    async with running(world.verifier(engine)) as verifier:
        engine.always("set_heads", Inconsistent(reason="unknown safe block"))
        blocks = await epoch(world)
        await trio.sleep(10 * MINUTE)
        assert 20 < len(verifier.retries) < 100
        engine.always("set_heads", None)
        await trio.sleep(10)
        assert verifier.driver.heads.safe.hash == blocks[-1].hash


class TestAnotherBlock:
    """What the engine made is compared with what it was asked for, whatever it says of it."""

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"hash": b"\7" * 32}, "its fields hash to 0x"),
            ({"state_root": b"\7" * 32}, "its fields hash to 0x"),
            ({"transactions": ()}, "differs in transactions"),
            ({"parent_hash": b"\7" * 32}, "differs in parentHash"),
            ({"gas_limit": Gas(1)}, "differs in gasLimit"),
            ({"number": 7}, "expected number 1, got 7"),
        ],
        ids=["hash", "state", "transactions", "parent", "gas limit", "number"],
    )
    async def test_another_block_than_derived_stops_the_node(self, changes: dict[str, Any], said: str) -> None:
        world = World.at(Fork.JOVIAN)
        await epoch(world)
        engine = Stumbling(new_engine(world.config))

        async def other(*arguments: Any) -> Sealed:
            sealed = await engine.part.seal(*arguments)
            changed = attrs.evolve(sealed.payload, **changes)
            if not {"hash", "state_root"} & set(changes):
                changed = attrs.evolve(changed, hash=block_hash_of(changed))
            return Sealed(payload=changed)

        engine.do_instead("seal", other)
        with pytest.raises(CriticalError, match="the engine made another block on L2 block 0") as caught:
            await world.verifier(engine).driver.run()
        assert said in str(caught.value)

    async def test_a_sealed_block_is_never_taken_for_one_that_is_gone(self) -> None:
        world = World.at(Fork.JOVIAN)
        blocks = await epoch(world)
        engine = Stumbling(new_engine(world.config))
        engine.instead("seal", Gone(), times=3)
        async with running(world.verifier(engine)) as verifier:
            await trio.sleep(10)
            assert verifier.driver.heads.safe.hash == blocks[-1].hash
