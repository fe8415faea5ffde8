from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from kroma_core.chain.config import BaseFeeParams, BlockLimits, ChainConfig, Family, MissingGenesis
from kroma_core.chain.genesis_json import genesis_from_json
from kroma_core.chain.load import assemble_chain, chain_from_json, load_chain
from kroma_core.chain.rollup_json import rollup_config_from_json
from kroma_core.errors import ConfigError
from tests.chain.sample_files import GENESIS, ROLLUP, genesis, rollup, with_key
from tests.vectors.unit_files import OWN_VECTORS, load

L1: dict[str, Any] = {
    "chainId": 900,
    "cancunTime": 0,
    "blobSchedule": {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477}},
}


class Files:
    """rollup.json, genesis.json and l1.json in a folder."""

    def __init__(self, folder: Path) -> None:
        self.rollup = folder / "rollup.json"
        self.genesis = folder / "genesis.json"
        self.l1 = folder / "l1.json"
        self.write(ROLLUP, GENESIS, L1)

    def write(self, rollup: Any = None, genesis: Any = None, l1: Any = None) -> None:
        for path, value in ((self.rollup, rollup), (self.genesis, genesis), (self.l1, l1)):
            if value is not None:
                path.write_text(json.dumps(value))

    def problems(self, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load_chain(self.rollup, self.genesis, **options)
        return caught.value.problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_files_that_agree_make_a_chain(files: Files) -> None:
    chain = load_chain(files.rollup, files.genesis, strict=True)
    assert chain.rollup.l2_chain_id == 901
    assert chain.l1.chain_id == 11_155_111
    assert chain.genesis is not None
    assert chain.missing_genesis is None
    assert chain.warnings == ()


def test_a_chain_without_a_genesis_says_why(files: Files) -> None:
    assert load_chain(files.rollup).missing_genesis is MissingGenesis.NOT_GIVEN


def test_a_fork_time_missing_in_the_genesis_names_both_files_and_values(files: Files) -> None:
    files.write(genesis=with_key(GENESIS, "config.ecotoneTime", None))
    assert files.problems() == (
        f"{files.genesis}: config.ecotoneTime: is missing, but ecotone_time of {files.rollup} is 1700000100",
    )


def test_a_fork_time_missing_in_the_rollup_config_names_both_files_and_values(files: Files) -> None:
    files.write(rollup=rollup(ecotone_time=None))
    assert files.problems() == (
        f"{files.genesis}: config.ecotoneTime: is 1700000100, but ecotone_time of {files.rollup} is missing",
        f"{files.genesis}: config.cancunTime: is 1700000100, but ecotone_time of {files.rollup} is missing",
    )


def test_the_l1_rules_that_a_fork_brings_need_its_time(files: Files) -> None:
    files.write(genesis=with_key(GENESIS, "config.cancunTime", 1_700_000_200))
    assert files.problems() == (
        f"{files.genesis}: config.cancunTime: is 1700000200, but ecotone_time of {files.rollup} is 1700000100",
    )


def test_any_two_times_up_to_the_genesis_are_the_same(files: Files) -> None:
    files.write(genesis=with_key(GENESIS, "config.canyonTime", 1_700_000_000))
    assert load_chain(files.rollup, files.genesis).warnings == ()


def test_another_chains_genesis_is_refused(files: Files) -> None:
    files.write(genesis=with_key(genesis(timestamp="0x1"), "config.chainId", 902))
    assert files.problems() == (
        f"{files.genesis}: config.chainId: is 902, but l2_chain_id of {files.rollup} is 901",
        f"{files.genesis}: timestamp is 1, but genesis.l2_time of {files.rollup} is 1700000000",
    )


def test_a_changed_account_is_noticed_by_the_hash(files: Files) -> None:
    files.write(genesis=genesis(alloc={"42" * 20: {"balance": "1"}}))
    (problem,) = files.problems()
    assert problem.startswith(f"{files.genesis}: the block's hash is 0x")
    assert problem.endswith(f"but genesis.l2.hash of {files.rollup} is {ROLLUP['genesis']['l2']['hash']}")


def test_a_genesis_for_a_rollup_that_begins_in_mid_chain_is_refused(files: Files) -> None:
    files.write(rollup=with_key(ROLLUP, "genesis.l2.number", 105_235_063))
    (problem,) = files.problems()
    assert "number is 0, but genesis.l2.number of" in problem
    assert "105235063 (what lies before it is a database snapshot, no genesis file)" in problem


def test_problems_of_several_files_come_together(files: Files) -> None:
    files.write(rollup=rollup(block_time=0), genesis=genesis(gasLimit=None), l1={"chainId": 0})
    assert files.problems(l1=files.l1) == (
        f"{files.rollup}: block_time: expected a number from 1 to 2^64 - 1, got 0",
        f"{files.genesis}: gasLimit: missing",
        f"{files.l1}: chainId: expected a number from 1 to 2^256 - 1, got 0",
    )


def test_base_fee_constants_come_from_the_genesis(files: Files) -> None:
    files.write(genesis=with_key(GENESIS, "config.optimism.eip1559Elasticity", 10))
    chain = load_chain(files.rollup, files.genesis)
    assert chain.rollup.base_fee_params == BaseFeeParams(elasticity=10, denominator=50, denominator_canyon=250)


def test_base_fee_constants_that_differ_are_refused(files: Files) -> None:
    constants = {"eip1559Elasticity": 10, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250}
    files.write(rollup=rollup(chain_op_config=constants))
    (problem,) = files.problems()
    assert "elasticity 6, denominator 50" in problem
    assert "elasticity 10, denominator 50" in problem


def test_a_genesis_without_a_chain_config_is_a_warning(files: Files) -> None:
    files.write(genesis=genesis(config=None))
    chain = load_chain(files.rollup, files.genesis)
    assert chain.warnings == (f"{files.genesis}: config: missing, so its fork times cannot be compared",)
    assert files.problems(strict=True) == chain.warnings


def test_the_constants_of_a_known_chain_are_known(files: Files) -> None:
    files.write(rollup=rollup(l2_chain_id=2358))
    assert load_chain(files.rollup).rollup.base_fee_params.elasticity == 10


def test_an_unknown_l1_has_to_be_given(files: Files) -> None:
    files.write(rollup=rollup(l1_chain_id=900))
    (problem,) = files.problems()
    assert problem.startswith(f"{files.rollup}: l1_chain_id: the L1 with chain id 900 is not built in")
    assert load_chain(files.rollup, files.genesis, files.l1).l1.blob_schedule.fraction(5) == 3338477


def test_another_l1s_config_is_refused(files: Files) -> None:
    assert files.problems(l1="mainnet") == (f"mainnet: chainId is 1, but l1_chain_id of {files.rollup} is 11155111",)


def test_kroma_needs_no_config_of_its_l1() -> None:
    found = rollup(l1_chain_id=900, kroma_mpt_time=1_700_000_200)
    del found["genesis"]["system_config"]["eip1559Params"]
    chain = chain_from_json(found, source="a recording")
    assert chain.rollup.family is Family.KROMA
    assert chain.l1.chain_id == 900


def test_the_parts_of_a_recording_are_named_in_messages() -> None:
    with pytest.raises(ConfigError) as caught:
        chain_from_json(ROLLUP, with_key(GENESIS, "config.chainId", 902), source="a.json.xz")
    assert caught.value.problems == (
        "a.json.xz: l2_genesis: config.chainId: is 902, but l2_chain_id of a.json.xz: rollup_config is 901",
    )


def test_built_in_chains_are_loaded_by_name() -> None:
    assert load_chain("op-sepolia", l1="sepolia").rollup.l2_chain_id == 11_155_420


@pytest.mark.parametrize("l1", [None, "goerli"])
def test_a_name_that_is_neither_built_in_nor_a_file_lists_the_known_ones(l1: str | None) -> None:
    with pytest.raises(ConfigError, match="neither a file nor a built-in"):
        load_chain("op-goerli" if l1 is None else "op-sepolia", l1=l1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_chain(tmp_path / "rollup.json", tmp_path / "genesis.json")
    assert caught.value.problems == (
        f"{tmp_path / 'rollup.json'}: cannot be read: No such file or directory",
        f"{tmp_path / 'genesis.json'}: cannot be read: No such file or directory",
    )


def test_a_known_chain_may_have_an_old_genesis_file(tmp_path: Path) -> None:
    old = with_key(GENESIS, "config.chainId", 11_155_420)
    for key in ("canyonTime", "shanghaiTime", "ecotoneTime", "cancunTime"):
        old = with_key(old, f"config.{key}", None)
    (tmp_path / "genesis.json").write_text(json.dumps(old))
    with pytest.raises(ConfigError) as caught:
        load_chain("op-sepolia", tmp_path / "genesis.json")
    # Not a word on the fork times: only that it is not this chain's genesis block.
    assert caught.value.problems == (
        f"{tmp_path / 'genesis.json'}: timestamp is 1700000000, but genesis.l2_time of op-sepolia is 1691802540",
    )


def kroma_chain(name: str, *, known: bool = False, **config: Any) -> ChainConfig:
    """A recorded chain whose genesis has these keys in its chain config; `known` is one that engines have built in."""
    recording = load(OWN_VECTORS / "kroma-chains" / f"{name}.json.xz")
    content = copy.deepcopy(recording["l2_genesis"])
    content["config"] |= config
    rollup = rollup_config_from_json(recording["rollup_config"], source="rollup.json")
    return assemble_chain(rollup, genesis=genesis_from_json(content, source="genesis.json"), in_registry=known)


@pytest.mark.parametrize("name", ["canyon-zk", "mpt-genesis"])
def test_limits_of_blocks_are_those_of_kroma_s_genesis(name: str) -> None:
    assert kroma_chain(name).rollup.block_limits == BlockLimits()
    both = kroma_chain(name, maxTxPerBlock=100, maxTxPayloadBytesPerBlock=2_000_000)
    assert both.rollup.block_limits == BlockLimits(transactions=100, size=2_000_000)
    one = kroma_chain(name, maxTxPerBlock=0, maxTxPayloadBytesPerBlock=5)
    assert one.rollup.block_limits == BlockLimits(size=5)


def test_a_limit_of_blocks_that_is_no_count_is_refused() -> None:
    for value in (-1, "0x64"):
        with pytest.raises(ConfigError, match=r"genesis\.json: config\.maxTxPerBlock"):
            kroma_chain("canyon-zk", maxTxPerBlock=value)


def test_limits_of_blocks_have_no_effect_on_a_chain_that_engines_know() -> None:
    """kroma-geth puts the chain config of its own program in the place of such a genesis's."""
    chain = kroma_chain("canyon-zk", known=True, maxTxPerBlock=100)
    assert chain.rollup.block_limits == BlockLimits()
    assert chain.warnings == ("genesis.json: config: limits of blocks have no effect on a known chain",)


def test_other_chains_have_no_limits_of_blocks(files: Files) -> None:
    files.write(genesis=with_key(GENESIS, "config.maxTxPerBlock", 100))
    assert load_chain(files.rollup, files.genesis).rollup.block_limits == BlockLimits()
