from __future__ import annotations

import json
from pathlib import Path

import pytest

from kroma_core.chain.builtin import builtin, builtin_names, builtin_with_id
from kroma_core.chain.config import BaseFeeParams, Family, MissingGenesis
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork, StateCommitment

KROMA_CONFIGS = Path(__file__).parents[1] / "vectors/data/kroma-units/rollup_configs.json"


def test_four_chains_are_built_in() -> None:
    assert builtin_names() == ("kroma-mainnet", "kroma-sepolia", "op-mainnet", "op-sepolia")


@pytest.mark.parametrize("network", ["mainnet", "sepolia"])
def test_kromas_chains_are_what_kroma_node_has_built_in(network: str) -> None:
    cases = json.loads(KROMA_CONFIGS.read_text())["cases"]
    (expected,) = (case["rollup_json"] for case in cases if case["network"] == network)
    assert rollup_config_to_json(builtin(f"kroma-{network}").rollup) == expected


def test_kroma_sepolia_has_an_elasticity_of_ten() -> None:
    usual = BaseFeeParams(elasticity=6, denominator=50, denominator_canyon=250)
    assert builtin("kroma-mainnet").rollup.base_fee_params == usual
    assert builtin("kroma-sepolia").rollup.base_fee_params == BaseFeeParams(
        elasticity=10, denominator=50, denominator_canyon=250
    )


def test_op_sepolia_has_the_fork_times_of_the_network() -> None:
    # From the case op-sepolia-like-fork-times of op-units/rollup_config.
    expected = {
        Fork.REGOLITH: 0,
        Fork.CANYON: 1699981200,
        Fork.DELTA: 1703203200,
        Fork.ECOTONE: 1708534800,
        Fork.FJORD: 1716998400,
        Fork.GRANITE: 1723478400,
        Fork.HOLOCENE: 1732633200,
        Fork.PECTRA_BLOB_SCHEDULE: 1742486400,
        Fork.ISTHMUS: 1744905600,
        Fork.JOVIAN: 1763568001,
    }
    times = builtin("op-sepolia").rollup.schedule.times
    assert {fork: times[fork] for fork in expected} == expected


def test_each_chain_lives_on_its_l1() -> None:
    assert {name: builtin(name).l1.chain_id for name in builtin_names()} == {
        "kroma-mainnet": 1,
        "kroma-sepolia": 11155111,
        "op-mainnet": 1,
        "op-sepolia": 11155111,
    }


def test_each_chain_says_why_it_has_no_genesis() -> None:
    assert {name: builtin(name).missing_genesis for name in builtin_names()} == {
        "kroma-mainnet": MissingGenesis.NOT_GIVEN,
        "kroma-sepolia": MissingGenesis.NOT_GIVEN,
        "op-mainnet": MissingGenesis.SNAPSHOT,
        "op-sepolia": MissingGenesis.NOT_GIVEN,
    }


def test_kroma_leaves_the_zk_trie_at_its_fork() -> None:
    schedule = builtin("kroma-mainnet").rollup.schedule
    assert schedule.at(1739250000).state is StateCommitment.ZK_TRIE
    assert schedule.at(1739250001).state is StateCommitment.MPT


def test_chains_are_found_by_id() -> None:
    chain = builtin_with_id(255)
    assert chain is not None
    assert chain.rollup.family is Family.KROMA
    assert builtin_with_id(901) is None


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'base' is not built in; known are kroma-mainnet, kroma-sepolia, op-"):
        builtin("base")
