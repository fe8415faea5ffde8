"""What servers say of themselves, compared with the chain and with each other: every mismatch by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from kroma_core.api import AnyOffer, Facts, PluginContext
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork
from kroma_core.node.live_check import LONGEST, LiveReport, check_live
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.registry import collect
from kroma_core.types import Timestamp
from tests.node.sample_parts import SamplePlugin, offer

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86400
L1 = Facts(server="http://l1:8545", chain_id=11155111, head_time=Timestamp(int(NOW) - 12))
BEACON = Facts(
    server="http://beacon:5052",
    chain_id=11155111,
    slot_zero=Timestamp(int(NOW) - 12 * 1000),
    slot_ms=12_000,
    blob_retention=18 * DAY,
)
ENGINE = Facts(server="http://engine:8551", chain_id=11155420, safe_time=Timestamp(int(NOW) - HOUR))
PROFILE = """
[chain]
name = "op-sepolia"
[l1]
kind = "rpc"
[[blobs]]
kind = "beacon"
[[data]]
kind = "blob"
[engine]
kind = "engine"
"""


def telling(kind: str, *facts: Facts) -> AnyOffer:
    async def inspect(settings: Any, context: PluginContext) -> Sequence[Facts]:
        assert context.data_dir.is_dir()
        await trio.lowlevel.checkpoint()
        return facts

    return attrs.evolve(offer(kind), inspect=inspect)


def plan(
    folder: Path,
    l1: Sequence[Facts] = (L1,),
    beacon: Sequence[Facts] = (BEACON,),
    engine: Sequence[Facts] = (ENGINE,),
    follower: Sequence[Facts] = (),
    more: str = "",
) -> Plan:
    installed = collect(
        [
            (
                "acme",
                "1.0",
                SamplePlugin(
                    l1=[telling("rpc", *l1)],
                    blobs=[telling("beacon", *beacon), offer("archive")],
                    data=[offer("blob")],
                    engine=[telling("engine", *engine), telling("other", *follower)],
                ),
            )
        ]
    )
    path = folder / "node.toml"
    path.write_text(PROFILE + more)
    return plan_profile(path, installed, {})


def report(made: Plan) -> LiveReport:
    return trio.run(lambda: check_live(made, clock=lambda: NOW))


def problems(made: Plan) -> list[str]:
    return list(report(made).problems)


def rightly(facts: Facts, made: Plan) -> Facts:
    genesis = made.chain.rollup.genesis
    return attrs.evolve(facts, genesis=genesis.l2.hash if facts is ENGINE else genesis.l1.hash)


def test_servers_that_fit_are_named_with_what_they_told(tmp_path: Path) -> None:
    made = plan(tmp_path)
    made = plan(tmp_path, l1=[rightly(L1, made)], engine=[rightly(ENGINE, made)])
    found = report(made)
    assert found.problems == found.warnings == ()
    l1, beacon, engine = found.servers
    genesis = made.chain.rollup.genesis
    assert l1 == (
        f"l1 rpc http://l1:8545: chain 11155111, genesis 0x{genesis.l1.hash.hex()[:8]}..., newest block 12 s old"
    )
    assert beacon == "blobs beacon http://beacon:5052: chain 11155111, slots of 12 s, keeps blobs for 18.0 days"
    assert engine.endswith("does not tell its fork times")


def test_every_mismatch_is_told_at_once(tmp_path: Path) -> None:
    other = b"\x11" * 32
    made = plan(
        tmp_path,
        l1=[attrs.evolve(L1, chain_id=1, genesis=other)],
        beacon=[attrs.evolve(BEACON, chain_id=17000)],
        engine=[attrs.evolve(ENGINE, chain_id=10, genesis=other, problems=("it lacks engine_newPayloadV4",))],
    )
    begin = made.chain.rollup.genesis
    assert problems(made) == [
        "l1 rpc http://l1:8545: its chain id is 1, but l1_chain_id of the rollup config is 11155111",
        f"l1 rpc http://l1:8545: its block {begin.l1.number} is 0x{other.hex()}, "
        f"but the rollup config's genesis has L1 block 0x{begin.l1.hash.hex()}",
        "blobs beacon http://beacon:5052: its chain id is 17000, but l1_chain_id of the rollup config is 11155111",
        "engine engine http://engine:8551: it lacks engine_newPayloadV4",
        "engine engine http://engine:8551: its chain id is 10, but l2_chain_id of the rollup config is 11155420",
        f"engine engine http://engine:8551: its block {begin.l2.number} is 0x{other.hex()}, "
        f"but the rollup config's genesis has L2 block 0x{begin.l2.hash.hex()}",
    ]


def test_a_server_that_does_not_answer_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    silent = Facts(server="http://other:8545", silent="no answer within 10 s")
    made = plan(tmp_path, l1=[attrs.evolve(L1, chain_id=1), silent])
    assert problems(made) == [
        "l1 rpc http://l1:8545: its chain id is 1, but l1_chain_id of the rollup config is 11155111",
        "l1 rpc http://other:8545: no answer: no answer within 10 s",
    ]


def test_a_part_that_never_answers_is_named(tmp_path: Path) -> None:
    made = plan(tmp_path)

    async def never(settings: Any, context: PluginContext) -> Sequence[Facts]:
        await trio.sleep_forever()
        return ()

    parts = [
        attrs.evolve(
            part, installed=attrs.evolve(part.installed, offer=attrs.evolve(part.installed.offer, inspect=never))
        )
        if part.installed.offer.kind == "engine"
        else part
        for part in made.parts
    ]
    clock = trio.testing.MockClock(autojump_threshold=0)
    stuck = attrs.evolve(made, parts=tuple(parts))
    found = trio.run(lambda: check_live(stuck, clock=lambda: NOW), clock=clock)
    assert list(found.problems) == [f"engine 'engine' (acme 1.0): no answer within {LONGEST:g} s"]


def config_of(made: Plan, **changes: Any) -> dict[str, Any]:
    """geth's chain config that says the same as the rollup config."""
    from kroma_core.chain.geth_config import fork_keys

    rollup = made.chain.rollup
    found: dict[str, Any] = {"chainId": rollup.l2_chain_id}
    for fork, change in rollup.schedule.table.items():
        if fork in rollup.schedule.times and fork not in (Fork.DELTA, Fork.PECTRA_BLOB_SCHEDULE):
            found |= dict.fromkeys(fork_keys(fork, change), int(rollup.schedule.times[fork]))
    return found | changes


def test_fork_times_of_the_engine_are_compared_with_the_rollup_config(tmp_path: Path) -> None:
    made = plan(tmp_path)
    same = plan(tmp_path, engine=[attrs.evolve(ENGINE, chain_config=config_of(made))])
    assert problems(same) == []
    assert "fork times compared" in report(same).servers[-1]
    time = made.chain.rollup.schedule.times[Fork.HOLOCENE]
    wrong = config_of(made, holoceneTime=time + 1, graniteTime=None)
    told = [
        attrs.evolve(ENGINE, chain_config=wrong),
        attrs.evolve(ENGINE, server="http://public:8545", chain_config=wrong),
    ]
    granite = made.chain.rollup.schedule.times[Fork.GRANITE]
    assert problems(plan(tmp_path, engine=told)) == [
        "engine engine http://engine:8551: graniteTime: is missing, "
        f"but granite_time of the rollup config is {granite}",
        f"engine engine http://engine:8551: holoceneTime: is {time + 1}, "
        f"but holocene_time of the rollup config is {time}",
    ]


@pytest.mark.parametrize("offset", [1, 11, 13])
def test_a_beacon_node_whose_slots_are_not_l1s_times_is_told(offset: int, tmp_path: Path) -> None:
    shifted = attrs.evolve(BEACON, slot_zero=Timestamp(int(BEACON.slot_zero or 0) + offset))
    (said,) = problems(plan(tmp_path, beacon=[shifted]))
    assert f"its slots begin at {shifted.slot_zero} and last 12 s" in said
    assert f"the time {L1.head_time} of the newest block of l1 rpc http://l1:8545" in said


def test_a_beacon_chain_that_begins_after_l1s_head_is_told(tmp_path: Path) -> None:
    later = attrs.evolve(BEACON, slot_zero=Timestamp(int(NOW) + 12 * 5))
    assert len(problems(plan(tmp_path, beacon=[later]))) == 1


def test_blobs_that_have_expired_before_they_are_read_are_missed(tmp_path: Path) -> None:
    """op-sepolia reads back by a channel timeout of 300 L1 blocks and a drift of 600 s, 70 minutes in all."""
    rollup = plan(tmp_path).chain.rollup
    back = 300 * 12 + 600
    assert (rollup.channel_timeout, rollup.max_sequencer_drift) == (300, 600)
    for age, expected in ((18 * DAY - back - 1, 0), (18 * DAY - back + 1, 1), (400 * DAY, 1)):
        engine = attrs.evolve(ENGINE, safe_time=Timestamp(int(L1.head_time or 0) - age))
        found = problems(plan(tmp_path, engine=[engine]))
        assert len(found) == expected, age
        assert all("keep them for 18.0 days" in said and "archive" in said for said in found)


def test_on_an_l1_that_stands_still_nothing_expires(tmp_path: Path) -> None:
    old = int(NOW) - 400 * DAY
    l1 = attrs.evolve(L1, head_time=Timestamp(old))
    beacon = attrs.evolve(BEACON, slot_zero=Timestamp(old - 12_000))
    engine = attrs.evolve(ENGINE, safe_time=Timestamp(old - DAY))
    assert problems(plan(tmp_path, l1=[l1], beacon=[beacon], engine=[engine])) == []


def test_an_archive_or_a_node_that_keeps_more_makes_up_for_it(tmp_path: Path) -> None:
    old = attrs.evolve(ENGINE, safe_time=Timestamp(int(NOW) - 400 * DAY))
    assert problems(plan(tmp_path, engine=[old], more='[[blobs]]\nkind = "archive"\n')) == []
    keeps = attrs.evolve(BEACON, blob_retention=500 * DAY)
    assert problems(plan(tmp_path, engine=[old], beacon=[keeps])) == []
    untold = attrs.evolve(BEACON, blob_retention=None)
    assert problems(plan(tmp_path, engine=[old], beacon=[untold])) == []


def test_an_engine_that_does_not_tell_begins_at_genesis_unless_it_has_a_store(tmp_path: Path) -> None:
    untold = attrs.evolve(ENGINE, safe_time=None)
    made = plan(tmp_path, engine=[untold])
    (said,) = problems(made)
    assert "keep them for 18.0 days" in said
    made.data_dir.mkdir(parents=True)
    assert problems(made) == []


def test_the_data_directory_of_another_chain_is_named_and_not_claimed(tmp_path: Path) -> None:
    made = plan(tmp_path)
    made.data_dir.mkdir(parents=True)
    assert problems(made) == []
    assert list(made.data_dir.iterdir()) == []
    identity = {"schema": 1, "chain": "op-mainnet", "l2_chain_id": 10, "l2_genesis": "0x" + "22" * 32}
    (made.data_dir / "kroma.json").write_text(json.dumps(identity))
    (said,) = problems(made)
    assert "belongs to chain op-mainnet (id 10" in said


def test_a_part_that_refuses_its_settings_is_named_with_every_problem(tmp_path: Path) -> None:
    async def refuse(settings: Any, context: PluginContext) -> Sequence[Facts]:
        raise ConfigError("first", "second")

    made = plan(tmp_path)
    part = made.parts[0]
    refusing = attrs.evolve(
        part, installed=attrs.evolve(part.installed, offer=attrs.evolve(part.installed.offer, inspect=refuse))
    )
    found = problems(attrs.evolve(made, parts=(refusing, *made.parts[1:])))
    assert found == [f"{part}: first", f"{part}: second"]


def test_parts_that_ask_nobody_are_said_to(tmp_path: Path) -> None:
    made = plan(tmp_path, more='[[blobs]]\nkind = "archive"\n')
    assert report(made).servers[-1] == "blobs archive: asks no server"


def test_a_part_in_the_shadow_of_another_is_asked_too(tmp_path: Path) -> None:
    other = attrs.evolve(ENGINE, server="http://other:8551", chain_id=5, safe_time=None)
    found = report(plan(tmp_path, follower=[other], more="[[engine.shadow]]\nkind = 'other'\n"))
    assert found.problems == (
        "engine shadow other http://other:8551: its chain id is 5, but l2_chain_id of the rollup config is 11155420",
    )
    assert any(line.startswith("engine shadow other http://other:8551: chain 5") for line in found.servers)
