"""Profiles with parts in the shadow of others, as far as they can be judged before anything opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kroma_core.api import Role
from kroma_core.errors import ConfigError
from kroma_core.node.plan import Plan, plan_profile
from kroma_core.node.registry import Registry, collect
from kroma_core.node.shadow.planning import FOLLOWED
from kroma_core.node.shadow.roles import SHADOWED
from kroma_core.node.shadow.table import ShadowPolicy
from tests.node.sample_parts import ManySettings, SamplePlugin, offer

BEGIN = "[chain]\nname = 'op-sepolia'\n[l1]\nkind = 'l1'\n[[data]]\nkind = 'data'\n[engine]\nkind = 'engine'\n"


def registry(*engines: Any) -> Registry:
    offers = {
        "l1": [offer("l1")],
        "data": [offer("data")],
        "engine": [offer("engine"), *engines],
        "observe": [offer("seer")],
    }
    return collect([("acme", "1.0", SamplePlugin(**offers))])


def planned(folder: Path, text: str, installed: Registry, environment: dict[str, str] | None = None) -> Plan:
    path = folder / "node.toml"
    path.write_text(BEGIN + text)
    return plan_profile(path, installed, environment or {})


def problems(folder: Path, text: str, installed: Registry) -> list[str]:
    with pytest.raises(ConfigError) as error:
        planned(folder, text, installed)
    return [problem.replace(f"{folder}/node.toml: ", "") for problem in error.value.problems]


def test_what_can_be_followed_can_be_planned() -> None:
    assert set(SHADOWED) == FOLLOWED


def test_followers_belong_to_the_part_that_they_stand_under_and_have_folders_of_their_own(tmp_path: Path) -> None:
    text = "[[engine.shadow]]\nkind = 'other'\n[[engine.shadow]]\nkind = 'engine'\n[shadow]\npolicy = 'majority'"
    made = planned(tmp_path, text, registry(offer("other")))
    [engine] = made.of_role(Role.ENGINE)
    data = tmp_path / "data" / "node"
    assert engine.data_dir == data / "engine" / "engine"
    assert [(each.installed.offer.kind, each.data_dir) for each in engine.shadows] == [
        ("other", data / "shadow" / "engine" / "other"),
        ("engine", data / "shadow" / "engine" / "engine"),
    ]
    assert (made.shadow.policy, made.shadow.queue) == (ShadowPolicy.MAJORITY, 256)


def test_the_settings_of_a_follower_come_from_its_table_and_from_the_environment(tmp_path: Path) -> None:
    text = "[[engine.shadow]]\nkind = 'other'\nstore = 's'\ncount = 4\n"
    made = planned(
        tmp_path, text, registry(offer("other", config=ManySettings)), {"KROMA_ENGINE__SHADOW__0__COUNT": "7"}
    )
    [engine] = made.of_role(Role.ENGINE)
    assert (engine.shadows[0].settings.store, engine.shadows[0].settings.count) == (tmp_path / "s", 7)


def test_what_is_wrong_with_a_follower_is_told_with_its_place(tmp_path: Path) -> None:
    text = "[[engine.shadow]]\nkind = 'engien'\n[[engine.shadow]]\nkind = 'other'\nspeed = 1\n"
    found = problems(tmp_path, text, registry(offer("other")))
    assert found[0].startswith("[engine] shadow 1 kind: no installed plugin offers engine 'engien'")
    assert found[1].startswith("[engine] shadow 2 speed: unknown key")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[[observe]]\nkind = 'seer'\n[[observe.shadow]]\nkind = 'seer'\n",
            "[[observe]] shadow: a part for observe cannot be followed; blobs, data, engine, l1 can",
        ),
        (
            "[[engine.shadow]]\nkind = 'engine'\n[[engine.shadow.shadow]]\nkind = 'engine'\n",
            "[engine] shadow 1 shadow: a part in the shadow of another has none itself",
        ),
        (
            "[[engine.shadow]]\nkind = 'needy'\n",
            "[engine] shadow 1: 'needy' requires l1, so it cannot have a process of its own",
        ),
        (
            "[[engine.shadow]]\nkind = 'engine'\n[shadow]\npolicy = 'majority'\n",
            "[engine] shadow: a majority takes three parts or more, and these are 2 (policy in [shadow])",
        ),
        ("[shadow]\nqueue = 0\n", "[shadow] queue: expected a number from 1 on, got 0"),
    ],
)
def test_a_shadow_that_cannot_be_is_a_problem(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problems(tmp_path, text, registry(offer("needy", requires=(Role.L1,))))
