"""A table that asks for what is not there: what an operator is told, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from kroma_core.node.registry import collect
from tests.node.sample_parts import ManySettings, SamplePlugin, offer
from tests.node.test_plan import CHAIN, MINIMAL, problems, registry


def test_a_kind_of_another_role_is_said_to_be_one(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, CHAIN + "[[data]]\nkind = 'fast'", MINIMAL)
    assert problem.endswith("'fast' is offered for engine, not for data")


def test_a_plugin_that_is_set_aside_is_not_to_be_installed_once_more(tmp_path: Path) -> None:
    broken = collect([("bad", "2.0", SamplePlugin(l1=["?"]))]).broken
    [elsewhere] = problems(tmp_path, CHAIN + "[engine]\nkind = 'odd'", attrs.evolve(MINIMAL, broken=broken))
    assert "plugin bad 2.0 could not be loaded" in elsewhere
    assert "install the one that does" not in elsewhere
    ours = [attrs.evolve(broken[0], distribution="kroma-engine-pyevm")]
    [known] = problems(tmp_path, CHAIN + "[engine]\nkind = 'pyevm'", attrs.evolve(MINIMAL, broken=ours))
    assert known.endswith("kroma-engine-pyevm has it, which is installed and could not be loaded")


@pytest.mark.parametrize(("key", "meant"), [("wrap", "wraps"), ("shadows", "shadow"), ("need", "needs")])
def test_a_misspelt_word_of_the_table_itself_gets_a_suggestion(key: str, meant: str, tmp_path: Path) -> None:
    installed = registry(l1=[offer("rpc")], data=[offer("calldata")], engine=[offer("fast", config=ManySettings)])
    found = problems(tmp_path, CHAIN + f"[engine]\nstore = 's'\n[engine.{key}]\nkind = 'fast'\n", installed)
    assert found == [f'p.toml: [engine] {key}: unknown key; did you mean "{meant}"?']
