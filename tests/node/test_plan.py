"""From a profile and what is installed to a plan, or to every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from kroma_core.api import API_VERSION, Capability, Port, Role
from kroma_core.errors import ConfigError
from kroma_core.node.plan import Plan, plan_profile, plan_replay
from kroma_core.node.registry import Registry, collect
from tests.node.sample_parts import ManySettings, RecordingSettings, SamplePlugin, offer
from tests.vectors.unit_files import OWN_VECTORS

RECORDING = OWN_VECTORS / "op-chains" / "plain-bedrock.json.xz"
ZK_RECORDING = OWN_VECTORS / "kroma-chains" / "canyon-zk.json.xz"
EXECUTES = frozenset({Capability.EXECUTES})
CHAIN = "[chain]\nname = 'op-sepolia'\n"


@attrs.frozen
class PortSettings:
    port: Port = Port(9000)


def registry(**offers: Any) -> Registry:
    return collect([("acme", "1.0", SamplePlugin(**offers))])


MINIMAL = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast")])


def plan(
    tmp_path: Path, text: str, installed: Registry, environment: Mapping[str, str] | None = None, strict: bool = False
) -> Plan:
    path = tmp_path / "p.toml"
    path.write_text(text)
    return plan_profile(path, installed, environment or {}, strict=strict)


def problems(tmp_path: Path, text: str, installed: Registry, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, text, installed, **given)
    return [problem.replace(str(tmp_path / "p.toml"), "p.toml") for problem in caught.value.problems]


def test_the_only_offer_of_a_role_is_taken(tmp_path: Path) -> None:
    made = plan(tmp_path, CHAIN, MINIMAL)
    assert [(part.role, part.installed.offer.kind) for part in made.parts] == [
        (Role.L1, "rpc"),
        (Role.DATA, "calldata"),
        (Role.ENGINE, "fast"),
    ]
    assert made.chain.rollup.name == "op-sepolia"
    assert made.data_dir == tmp_path / "data" / "p"


def test_with_several_offers_a_profile_has_to_choose(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast"), offer("slow")])
    assert problems(tmp_path, CHAIN, installed) == [
        "[engine]: the profile names none, and several are installed: fast (acme), slow (acme)"
    ]


def test_a_role_that_nothing_fills_is_a_problem(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")])
    [problem] = problems(tmp_path, CHAIN, installed)
    assert "[engine]: the profile names none, and one is not installed; nothing is installed for engine; " in problem
    assert "kroma-engine-pyevm has pyevm, " in problem


def test_an_unknown_kind_lists_what_is_installed_and_what_is_broken(tmp_path: Path) -> None:
    installed = attrs.evolve(MINIMAL, broken=collect([("bad", "2.0", SamplePlugin(l1=["?"]))]).broken)
    [problem] = problems(tmp_path, CHAIN + "[engine]\nkind = 'pyevm'", installed)
    assert problem.startswith(
        "p.toml: [engine] kind: no installed plugin offers engine 'pyevm'; installed for engine: fast"
    )
    assert problem.endswith(
        "kroma-engine-pyevm has it: pip install kroma-engine-pyevm (in a checkout: pip install -e plugins/engine_pyevm)"
    )
    assert "plugin bad 2.0 could not be loaded" in problem


def test_problems_of_every_kind_are_told_at_once(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast", config=ManySettings)])
    text = "[chain]\nname = 'op-sepolai'\n[l1]\nkind = 'rcp'\n[engine]\ncoutn = 1\n[nod]\n"
    found = problems(tmp_path, text, installed)
    assert [problem.split(" ", 2)[1] for problem in found] == ["nod:", "[chain]", "[l1]", "[engine]", "[engine]"]


def test_a_profile_without_a_chain_is_a_problem(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "", MINIMAL)
    assert problem.startswith("p.toml: [chain]: missing")


@pytest.mark.parametrize("chain", ["[chain]\n", "[chain]\nname = 'op-sepolia'\nrollup = 'p.toml'\n"])
def test_a_chain_has_exactly_one_source(tmp_path: Path, chain: str) -> None:
    [problem] = problems(tmp_path, chain, MINIMAL)
    assert "needs exactly one of name, rollup, recording" in problem


def test_forks_out_of_order_are_a_problem(tmp_path: Path) -> None:
    import lzma

    import orjson

    config = orjson.loads(lzma.decompress(RECORDING.read_bytes()))["rollup_config"]
    config["canyon_time"], config["delta_time"] = 200, 100
    (tmp_path / "rollup.json").write_bytes(orjson.dumps(config))
    text = "[chain]\nrollup = 'rollup.json'\n"
    assert any("delta" in problem and "canyon" in problem for problem in problems(tmp_path, text, MINIMAL))


def test_a_chain_with_commitments_to_data_elsewhere_is_refused(tmp_path: Path) -> None:
    import lzma

    import orjson

    vector = orjson.loads(lzma.decompress(RECORDING.read_bytes()))
    vector["rollup_config"]["alt_da"] = {
        "da_challenge_contract_address": "0x" + "11" * 20,
        "da_commitment_type": "KeccakCommitment",
        "da_challenge_window": 100,
        "da_resolve_window": 100,
    }
    path = tmp_path / "alt.json.xz"
    path.write_bytes(lzma.compress(orjson.dumps(vector)))
    [problem] = problems(tmp_path, "[chain]\nrecording = 'alt.json.xz'\n", MINIMAL)
    assert "alt_da" in problem


def test_a_kind_that_nobody_here_publishes_is_said_to_come_from_elsewhere(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, CHAIN + "[engine]\nkind = 'fsat'", MINIMAL)
    assert "no installed plugin offers engine 'fsat'; installed for engine: fast (acme); " in problem
    assert problem.endswith(
        '(its entry point is in the group kroma.plugins; kroma plugins then lists it); did you mean "fast"?'
    )


def test_a_checkpoint_wants_an_engine_that_executes(tmp_path: Path) -> None:
    text = CHAIN + f"[node]\ncheckpoint = '0x{'11' * 32}'\n"
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast", capabilities=EXECUTES)])
    assert plan(tmp_path, text, installed).node.checkpoint == b"\x11" * 32
    [problem] = problems(tmp_path, text, MINIMAL)
    assert problem.startswith("[node] checkpoint: engine 'fast' (acme 1.0) executes no blocks, so it has no state")


def test_a_checkpoint_is_the_hash_of_a_block(tmp_path: Path) -> None:
    assert problems(tmp_path, CHAIN + "[node]\ncheckpoint = '0x1234'\n", MINIMAL) == [
        "p.toml: [node] checkpoint: expected the 32 bytes of a block's hash, got 2"
    ]


def test_an_engine_alone_has_no_checkpoint(tmp_path: Path) -> None:
    queries = frozenset({Capability.EXECUTES, Capability.STATE_QUERIES})
    installed = registry(engine=[offer("fast", capabilities=queries)])
    text = CHAIN + f"[authrpc]\n[node]\nderive = false\ncheckpoint = '0x{'11' * 32}'\n"
    assert problems(tmp_path, text, installed) == [
        "[node] checkpoint: a node that does not derive (derive = false) begins nowhere; leave it out"
    ]


def test_a_missing_capability_names_the_offers_that_have_it(tmp_path: Path) -> None:
    engines = [offer("recorded"), offer("fast", capabilities=EXECUTES)]
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=engines)
    text = CHAIN + "[engine]\nkind = 'recorded'\nneeds = ['executes']\n"
    assert problems(tmp_path, text, installed) == [
        "p.toml: [engine] needs: 'recorded' (acme 1.0) lacks executes; there is fast"
    ]
    assert plan(tmp_path, text.replace("recorded", "fast"), installed).executes


@pytest.mark.parametrize(("step", "do"), [(1, "a newer kroma-core, or an older acme"), (-1, "a newer acme")])
def test_an_offer_for_another_api_is_refused_where_a_profile_names_it(tmp_path: Path, step: int, do: str) -> None:
    """It is the only problem: what else is wrong with the offer or its settings cannot be known."""

    def check(settings: Any, chain: Any) -> list[str]:
        raise AssertionError("nothing of it may be called")

    other = offer("fast", api=API_VERSION + step, config=dict, check=check)
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[other, offer("slow")])
    [problem] = problems(tmp_path, CHAIN + "[engine]\nkind = 'fast'\ncolour = 'red'\nneeds = ['executes']\n", installed)
    assert problem.startswith("p.toml: [engine]: engine 'fast' of acme 1.0 is written for plugin API ")
    assert problem.endswith(f"than this node's API {API_VERSION}: install {do}")


def test_an_offer_for_another_api_is_in_nobodys_way_who_does_not_name_it(tmp_path: Path) -> None:
    other = offer("fast", api=API_VERSION + 1, config=dict)
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[other, offer("slow")])
    [engine] = plan(tmp_path, CHAIN, installed).of_role(Role.ENGINE)
    assert engine.installed.offer.kind == "slow"


def test_a_role_that_only_offers_for_another_api_could_fill_says_so(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast", api=API_VERSION + 1)])
    [problem] = problems(tmp_path, CHAIN, installed)
    assert "[engine]: the profile names none, and one is not installed; nothing is installed for engine; " in problem
    assert "engine 'fast' of acme 1.0 is written for plugin API" in problem


def test_offers_for_another_api_are_no_parts_of_a_replay(tmp_path: Path) -> None:
    odd = [offer("odd", api=API_VERSION + 1, config=dict)]
    installed = attrs.evolve(REPLAYERS, offers=REPLAYERS.offers + registry(l1=odd, data=odd, engine=odd).offers)
    made = plan_replay(RECORDING, None, installed, {}, tmp_path)
    assert "odd" not in [part.installed.offer.kind for part in made.parts]


def test_two_distributions_with_one_kind_are_refused_where_a_profile_names_it(tmp_path: Path) -> None:
    installed = collect(
        [
            ("acme", "1", SamplePlugin(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast")])),
            ("rival", "1", SamplePlugin(engine=[offer("fast"), offer("slow")])),
        ]
    )
    assert problems(tmp_path, CHAIN + "[engine]\nkind = 'fast'", installed) == [
        "p.toml: [engine]: engine 'fast' is offered more than once: by acme 1 and by rival 1; uninstall all but one"
    ]
    [engine] = plan(tmp_path, CHAIN + "[engine]\nkind = 'slow'", installed).of_role(Role.ENGINE)
    assert engine.installed.offer.kind == "slow"


def test_blobs_are_taken_only_where_a_part_requires_them(tmp_path: Path) -> None:
    blob_data = offer("blob", requires=(Role.BLOBS,))
    installed = registry(
        l1=[offer("rpc")], blobs=[offer("beacon")], data=[offer("calldata"), blob_data], engine=[offer("fast")]
    )
    without = plan(tmp_path, CHAIN + "[[data]]\nkind = 'calldata'\n", installed)
    assert without.of_role(Role.BLOBS) == ()
    made = plan(tmp_path, CHAIN + "[[data]]\nkind = 'calldata'\n[[data]]\nkind = 'blob'\n", installed)
    assert [part.installed.offer.kind for part in made.parts] == ["rpc", "beacon", "calldata", "blob", "fast"]


def test_an_unmet_requirement_is_a_problem(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("blob", requires=(Role.BLOBS,))], engine=[offer("fast")])
    found = problems(tmp_path, "blobs = []\n" + CHAIN, installed)
    assert found == ["[[data]] blob: 'blob' requires a part for role blobs, and the profile has none"]


def test_who_asks_for_a_role_that_is_not_installed_is_told(tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("blob", requires=(Role.BLOBS,))], engine=[offer("fast")])
    [problem] = problems(tmp_path, CHAIN, installed)
    assert problem.startswith("[[blobs]]: the profile names none, and one that data 'blob' requires is not installed; ")
    assert "kroma-da-blob has archive and beacon, kroma-l1-cassette has cassette: pip install " in problem


def test_a_part_that_is_missing_is_not_told_twice(tmp_path: Path) -> None:
    """The data source has its blob source in the profile, though nothing offers that one."""
    installed = registry(l1=[offer("rpc")], data=[offer("blob", requires=(Role.BLOBS,))], engine=[offer("fast")])
    [problem] = problems(tmp_path, CHAIN + "[[blobs]]\nkind = 'beacon'\n", installed)
    assert problem.startswith("p.toml: [[blobs]] kind: no installed plugin offers blobs 'beacon'")


def test_roles_that_require_each_other_are_a_problem(tmp_path: Path) -> None:
    installed = registry(
        l1=[offer("rpc", requires=(Role.ENGINE,))],
        data=[offer("calldata")],
        engine=[offer("fast", requires=(Role.L1,))],
    )
    assert any("require each other" in problem for problem in problems(tmp_path, CHAIN, installed))


def test_parts_are_ordered_by_what_they_require_and_observers_come_first(tmp_path: Path) -> None:
    installed = registry(
        l1=[offer("chain-of-engine", requires=(Role.ENGINE,))],
        data=[offer("calldata")],
        engine=[offer("fast")],
        observe=[offer("metrics")],
    )
    made = plan(tmp_path, CHAIN + "[[observe]]\nkind = 'metrics'\n", installed)
    order = [part.role for part in made.parts]
    assert order[0] is Role.OBSERVE
    assert order.index(Role.ENGINE) < order.index(Role.L1)


def test_a_port_asked_for_twice_is_a_problem(tmp_path: Path) -> None:
    installed = registry(
        l1=[offer("rpc")],
        data=[offer("calldata")],
        engine=[offer("fast", config=PortSettings)],
        observe=[offer("metrics", config=PortSettings)],
    )
    text = CHAIN + "[[observe]]\nkind = 'metrics'\n"
    [problem] = problems(tmp_path, text, installed)
    assert problem.startswith("port 9000 is used 2 times: ")
    assert "metrics" in problem
    assert "fast" in problem
    assert plan(tmp_path, text + "port = 9001\n", installed)


def test_an_offers_own_check_is_asked(tmp_path: Path) -> None:
    def check(settings: Any, chain: Any) -> list[str]:
        return [f"cannot follow {chain.rollup.name}"]

    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast", check=check)])
    assert problems(tmp_path, CHAIN, installed) == ["[engine] fast: cannot follow op-sepolia"]


def test_two_parts_of_one_kind_have_folders_of_their_own(tmp_path: Path) -> None:
    text = CHAIN + "[[data]]\nkind = 'calldata'\n[[data]]\nkind = 'calldata'\n"
    first, second = plan(tmp_path, text, MINIMAL).of_role(Role.DATA)
    assert first.data_dir != second.data_dir


def test_the_environment_reaches_the_plan(tmp_path: Path) -> None:
    made = plan(tmp_path, "", MINIMAL, {"KROMA_CHAIN__NAME": "op-sepolia", "KROMA_NODE__STOP_AFTER": "5"})
    assert made.node.stop_after == 5


REPLAYERS = registry(
    l1=[offer("rpc"), offer("cassette", config=RecordingSettings)],
    blobs=[offer("beacon"), offer("cassette", config=RecordingSettings)],
    data=[offer("calldata"), offer("blob", requires=(Role.BLOBS,)), offer("archive", config=ManySettings)],
    engine=[offer("recorded", config=RecordingSettings), offer("fast", capabilities=EXECUTES)],
)


def kinds(made: Plan, role: Role) -> list[str]:
    return [part.installed.offer.kind for part in made.of_role(role)]


def test_a_replay_takes_what_plays_the_recording_and_what_executes(tmp_path: Path) -> None:
    made = plan_replay(RECORDING, None, REPLAYERS, {}, tmp_path)
    assert kinds(made, Role.L1) == ["cassette"]
    assert made.of_role(Role.L1)[0].settings.recording == RECORDING
    assert kinds(made, Role.BLOBS) == ["cassette"]
    assert kinds(made, Role.DATA) == ["blob", "calldata"]
    assert kinds(made, Role.ENGINE) == ["fast"]
    assert made.data_dir == tmp_path


def test_a_replay_without_execution_takes_the_engine_that_plays(tmp_path: Path) -> None:
    made = plan_replay(RECORDING, None, REPLAYERS, {}, tmp_path, without_execution=True)
    assert kinds(made, Role.ENGINE) == ["recorded"]
    assert not made.executes


def test_a_chain_that_begins_with_a_zk_trie_is_replayed_by_what_executes_too(tmp_path: Path) -> None:
    made = plan_replay(ZK_RECORDING, None, REPLAYERS, {}, tmp_path)
    assert kinds(made, Role.ENGINE) == ["fast"]
    assert made.executes


def test_a_replay_takes_engine_and_data_of_a_profile_but_the_recordings_chain(tmp_path: Path) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text(
        "[chain]\nname = 'op-sepolia'\n[l1]\nkind = 'rpc'\n[engine]\nkind = 'recorded'\n[[data]]\nkind = 'calldata'\n"
    )
    made = plan_replay(RECORDING, profile, REPLAYERS, {}, tmp_path)
    assert kinds(made, Role.L1) == ["cassette"]
    assert kinds(made, Role.DATA) == ["calldata"]
    assert kinds(made, Role.ENGINE) == ["recorded"]
    assert made.chain.rollup.name != "op-sepolia"


def test_a_replay_with_two_executing_engines_has_to_be_told(tmp_path: Path) -> None:
    rivals = registry(
        l1=[offer("cassette", config=RecordingSettings)],
        blobs=[offer("cassette", config=RecordingSettings)],
        data=[offer("calldata")],
        engine=[offer("fast", capabilities=EXECUTES), offer("faster", capabilities=EXECUTES)],
    )
    with pytest.raises(ConfigError, match="several are installed: fast"):
        plan_replay(RECORDING, None, rivals, {}, tmp_path)


def test_a_recording_that_is_none_is_a_problem_with_its_name(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json.xz"
    bad.write_bytes(RECORDING.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"bad\.json\.xz"):
        plan_replay(bad, None, REPLAYERS, {}, tmp_path)


ANSWERING = offer("fast", capabilities=frozenset({Capability.STATE_QUERIES}))
ENGINE_ALONE = CHAIN + "[node]\nderive = false\n"


def test_a_node_that_does_not_derive_needs_an_engine_and_nothing_else(tmp_path: Path) -> None:
    made = plan(tmp_path, ENGINE_ALONE + "[authrpc]\n", registry(engine=[ANSWERING]))
    assert [part.role for part in made.parts] == [Role.ENGINE]


def test_a_node_that_does_not_derive_opens_what_its_engine_requires(tmp_path: Path) -> None:
    asking = frozenset({Capability.STATE_QUERIES})
    installed = registry(l1=[offer("rpc")], engine=[offer("fast", requires=(Role.L1,), capabilities=asking)])
    made = plan(tmp_path, ENGINE_ALONE + "[l1]\nkind = 'rpc'\n[authrpc]\n", installed)
    assert [part.role for part in made.parts] == [Role.L1, Role.ENGINE]


def test_what_only_derivation_uses_is_a_problem_without_it(tmp_path: Path) -> None:
    text = ENGINE_ALONE + "[l1]\nkind = 'rpc'\n[[data]]\nkind = 'calldata'\n[authrpc]\n"
    assert problems(tmp_path, text, registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[ANSWERING])) == [
        "p.toml: [l1]: a node that does not derive (derive = false in [node]) has no use for it",
        "p.toml: [[data]]: a node that does not derive (derive = false in [node]) has no use for it",
    ]


def test_a_node_that_neither_derives_nor_serves_is_a_problem(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, ENGINE_ALONE, MINIMAL)
    assert problem == "[node] derive = false: there is nothing to do; serve the engine with [authrpc]"


def test_an_engine_is_not_served_to_another_driver_while_this_node_derives(tmp_path: Path) -> None:
    [problem] = problems(
        tmp_path, CHAIN + "[authrpc]\n", registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[ANSWERING])
    )
    assert "another rollup node would drive the engine" in problem
    assert "derive = false" in problem


def test_state_is_served_only_of_an_engine_that_answers_queries(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, CHAIN + "[eth]\n", MINIMAL)
    assert problem.startswith("[eth]: engine 'fast' (acme 1.0) does not answer state queries here")
    able = registry(
        l1=[offer("rpc")],
        data=[offer("calldata")],
        engine=[offer("fast", capabilities=frozenset({Capability.STATE_QUERIES}))],
    )
    assert plan(tmp_path, CHAIN + "[eth]\n", able).servers.eth is not None


def test_a_node_that_does_not_derive_has_no_status_to_serve(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, ENGINE_ALONE + "[authrpc]\n[rpc]\n", registry(engine=[ANSWERING]))
    assert problem.startswith("[rpc]: a node that does not derive")


def test_an_engine_that_answers_no_state_queries_is_not_served(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, ENGINE_ALONE + "[authrpc]\n", registry(engine=[offer("external")]))
    assert problem.startswith("[authrpc]: engine 'external' (acme 1.0) does not answer state queries")
