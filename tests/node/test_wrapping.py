"""A part that stands on another part of its own role: planned from the table in its table, opened after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from kroma_core.api import Capability, Role
from kroma_core.errors import ConfigError
from kroma_core.node.assemble import assemble
from kroma_core.node.plan import Plan, plan_profile, plan_replay
from kroma_core.node.registry import Registry, collect
from tests.node.sample_parts import Journal, ManySettings, RecordingSettings, SamplePlugin, offer
from tests.vectors.unit_files import OWN_VECTORS

RECORDING = OWN_VECTORS / "op-chains" / "plain-bedrock.json.xz"
CHAIN = "[chain]\nname = 'op-sepolia'\n"
WRAPPER = "[engine]\nkind = 'slow'\n"


def installed(journal: Journal | None = None, *more: Any) -> Registry:
    can = frozenset({Capability.EXECUTES, Capability.STATE_QUERIES})
    slow = offer("slow", journal, requires=(Role.ENGINE,), capabilities=can)
    fast = offer("fast", journal, capabilities=frozenset({Capability.EXECUTES, Capability.PROOFS}))
    plugin = SamplePlugin(l1=[offer("rpc", journal)], data=[offer("calldata", journal)], engine=[slow, fast, *more])
    return collect([("acme", "1.0", plugin)])


def plan(folder: Path, text: str, registry: Registry, environment: Mapping[str, str] | None = None) -> Plan:
    path = folder / "p.toml"
    path.write_text(CHAIN + text)
    return plan_profile(path, registry, environment or {})


def problems(folder: Path, text: str, registry: Registry) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(folder, text, registry)
    return [problem.replace(str(folder / "p.toml"), "p.toml") for problem in caught.value.problems]


def kinds(made: Plan) -> list[str]:
    [engine] = made.of_role(Role.ENGINE)
    return [layer.installed.offer.kind for layer in engine.layers]


def test_the_table_in_its_table_says_what_a_part_stands_on(tmp_path: Path) -> None:
    registry = installed(None, offer("other"))
    assert kinds(plan(tmp_path, WRAPPER + "[engine.wraps]\nkind = 'other'\n", registry)) == ["slow", "other"]


def test_the_only_other_offer_is_what_it_stands_on(tmp_path: Path) -> None:
    assert kinds(plan(tmp_path, WRAPPER, installed())) == ["slow", "fast"]


def test_with_several_a_profile_has_to_say_on_which(tmp_path: Path) -> None:
    assert problems(tmp_path, WRAPPER, installed(None, offer("other"))) == [
        "p.toml: [engine] wraps: missing; 'slow' stands on another engine; "
        "installed for engine: fast (acme), other (acme)"
    ]


def test_a_part_that_stands_on_none_takes_no_table(tmp_path: Path) -> None:
    text = "[engine]\nkind = 'fast'\n[engine.wraps]\nkind = 'slow'\n"
    assert problems(tmp_path, text, installed()) == ["p.toml: [engine] wraps: 'fast' stands on no other engine"]
    assert problems(tmp_path, "[engine]\nkind = 'slow'\nwraps = 'fast'\n", installed()) == [
        'p.toml: [engine] wraps: expected a table, got the text "fast"'
    ]


def test_a_role_that_is_left_out_is_never_filled_with_a_part_that_stands_on_another(tmp_path: Path) -> None:
    assert kinds(plan(tmp_path, "", installed())) == ["fast"]
    assert kinds(plan(tmp_path, "[engine]\n", installed())) == ["fast"]


def test_settings_of_both_are_read_strictly_and_from_the_environment(tmp_path: Path) -> None:
    registry = installed(None, offer("kept", config=ManySettings))
    text = WRAPPER + "[engine.wraps]\nkind = 'kept'\nstore = 'blocks'\n"
    [engine] = plan(tmp_path, text, registry, {"KROMA_ENGINE__WRAPS__COUNT": "7"}).of_role(Role.ENGINE)
    assert engine.wraps is not None
    assert (engine.wraps.settings.store, engine.wraps.settings.count) == (tmp_path / "blocks", 7)
    assert problems(tmp_path, text + "coutn = 7\n", registry) == [
        'p.toml: [engine] wraps coutn: unknown key; did you mean "count"?'
    ]


def test_it_can_do_what_both_can(tmp_path: Path) -> None:
    [engine] = plan(tmp_path, WRAPPER, installed()).of_role(Role.ENGINE)
    assert engine.installed.capabilities == frozenset({Capability.EXECUTES})
    [problem] = problems(tmp_path, WRAPPER + "needs = ['state-queries']\n", installed())
    assert "'slow' (acme 1.0) lacks state-queries" in problem


def test_what_it_stands_on_opens_first_and_is_handed_over_by_the_roles_name(tmp_path: Path) -> None:
    journal: Journal = []

    async def main() -> None:
        async with assemble(plan(tmp_path, WRAPPER, installed(journal))) as parts:
            engine: Any = parts.engine
            assert (engine.name, engine.required["engine"].name) == ("slow", "fast")
            assert engine.context.data_dir == tmp_path / "data" / "p" / "engine" / "slow"
            assert engine.required["engine"].context.data_dir == tmp_path / "data" / "p" / "engine" / "fast"

    trio.run(main)
    assert [line for line in journal if line.endswith(("fast", "slow"))] == [
        "open fast", "open slow", "close slow", "close fast",
    ]  # fmt: skip


def test_what_lies_below_brings_its_requirements(tmp_path: Path) -> None:
    registry = installed(None, offer("tied", requires=(Role.L1,)))
    made = plan(tmp_path, WRAPPER + "[engine.wraps]\nkind = 'tied'\n", registry)
    order = [part.role for part in made.parts]
    assert order.index(Role.L1) < order.index(Role.ENGINE)


def test_an_engine_on_another_has_no_process_of_its_own(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, WRAPPER + "[node]\nisolation = 'process'\n", installed())
    assert problem == (
        "p.toml: [engine]: 'slow' requires engine, so it cannot have a process of its own (isolation in [node])"
    )


def test_a_replay_fills_in_the_recording_below_as_well(tmp_path: Path) -> None:
    playing = offer("recorded", config=RecordingSettings)
    plugin = SamplePlugin(
        l1=[offer("cassette", config=RecordingSettings)],
        blobs=[offer("cassette", config=RecordingSettings)],
        data=[offer("calldata")],
        engine=[offer("slow", requires=(Role.ENGINE,)), playing],
    )
    path = tmp_path / "p.toml"
    path.write_text(WRAPPER + "[engine.wraps]\nkind = 'recorded'\n")
    made = plan_replay(RECORDING, path, collect([("acme", "1.0", plugin)]), {}, tmp_path)
    [engine] = made.of_role(Role.ENGINE)
    assert engine.wraps is not None
    assert engine.wraps.settings.recording == RECORDING.absolute()
