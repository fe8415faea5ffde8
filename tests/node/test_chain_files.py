"""The files behind a profile's chain, as a recording carries them: they mean the same chain."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from kroma_core.chain.load import chain_from_json
from kroma_core.node.chain_choice import chain_of_table, files_of_table
from kroma_core.node.profile import ChainTable
from tests.vectors.unit_files import OWN_VECTORS, load

CHAINS = OWN_VECTORS / "op-chains"
KROMA_CHAINS = OWN_VECTORS / "kroma-chains"


def means_the_same(table: ChainTable) -> None:
    problems: list[str] = []
    chain = chain_of_table(table, "[chain]", problems)
    assert chain is not None, problems
    files = files_of_table(table, chain)
    again = json.loads(json.dumps([files.rollup, files.genesis, files.l1]))
    found = chain_from_json(*again, source="carried")
    named = attrs.evolve(found.rollup, name=chain.rollup.name)  # a rollup.json has no name
    assert attrs.evolve(found, rollup=named) == chain


@pytest.mark.parametrize("name", ["op-mainnet", "op-sepolia", "kroma-mainnet", "kroma-sepolia"])
def test_those_of_a_built_in_chain(name: str) -> None:
    means_the_same(ChainTable(name=name))


@pytest.mark.parametrize("path", [CHAINS / "plain-jovian.json.xz", KROMA_CHAINS / "canyon-zk.json.xz"], ids=str)
def test_those_of_a_recording(path: Path) -> None:
    means_the_same(ChainTable(recording=path))  # type: ignore[arg-type]  # what a profile reads is an InputFile


def test_those_that_a_profile_names(tmp_path: Path) -> None:
    world = load(CHAINS / "plain-jovian.json.xz")
    table = {}
    for name, key in (("rollup", "rollup_config"), ("genesis", "l2_genesis"), ("l1", "l1_chain_config")):
        table[name] = tmp_path / f"{name}.json"
        table[name].write_text(json.dumps(world[key]))
    means_the_same(ChainTable(**table))  # type: ignore[arg-type]  # as above
