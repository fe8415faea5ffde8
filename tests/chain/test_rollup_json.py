from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.chain.config import BaseFeeParams, Family
from kroma_core.chain.rollup_json import (
    family_of,
    rollup_config_from_json,
    rollup_config_from_text,
    rollup_config_to_json,
)
from kroma_core.errors import ConfigError
from kroma_core.forks import Fork
from tests.chain.sample_files import ROLLUP, rollup, with_key

VALIDATOR_REWARD_SCALAR = "0x" + "00" * 30 + "2710"


def problems(found: object, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        rollup_config_from_json(found, source="my/rollup.json", **options)
    return caught.value.problems


def kroma_rollup(**changes: Any) -> dict[str, Any]:
    found = rollup(**changes)
    system_config = found["genesis"]["system_config"]
    for key in ("eip1559Params", "operatorFeeParams", "minBaseFee", "daFootprintGasScalar"):
        del system_config[key]
    system_config["validatorRewardScalar"] = VALIDATOR_REWARD_SCALAR
    return found


def test_every_problem_is_reported_at_once_with_file_and_key() -> None:
    found = rollup(block_time=0, l1_chain_id="1", batch_inbox_address="0x12", regolith_time=9)
    found = with_key(found, "genesis.l1.hash", None)
    assert problems(found) == (
        "my/rollup.json: block_time: expected a number from 1 to 2^64 - 1, got 0",
        "my/rollup.json: genesis.l1.hash: missing",
        'my/rollup.json: l1_chain_id: expected a number from 1 to 2^256 - 1, got "1"',
        "my/rollup.json: fork canyon has time 0, before regolith at 9",
        'my/rollup.json: batch_inbox_address: expected 0x and 40 hex digits, got "0x12"',
    )


def test_an_unknown_key_is_a_warning_and_kept() -> None:
    config = rollup_config_from_json(rollup(canion_time=5), source="r.json")
    assert config.warnings == ("r.json: canion_time: is not a key of op-node",)
    assert config.extra["canion_time"] == 5


def test_an_unknown_key_is_a_problem_when_strict() -> None:
    assert problems(rollup(canion_time=5), strict=True) == ("my/rollup.json: canion_time: is not a key of op-node",)


def test_an_unknown_key_deep_inside_is_a_warning_too() -> None:
    found = with_key(ROLLUP, "genesis.system_config.gaslimit", 1)
    config = rollup_config_from_json(found, source="r.json")
    assert config.warnings == ("r.json: genesis.system_config.gaslimit: op-node does not know this key",)


def test_a_key_of_older_versions_is_named_as_such() -> None:
    config = rollup_config_from_json(rollup(interop_time=5), source="r.json")
    assert config.warnings == ("r.json: interop_time: is no longer read by op-node",)


def test_a_zero_system_config_address_is_a_warning() -> None:
    config = rollup_config_from_json(rollup(l1_system_config_address=None), source="r.json")
    assert len(config.warnings) == 1
    assert config.warnings[0].startswith("r.json: l1_system_config_address: missing or zero")


def test_a_late_fork_without_its_predecessor_is_a_warning_and_strictly_a_problem() -> None:
    found = rollup(fjord_time=1_700_000_200, granite_time=1_700_000_300, karst_time=1_700_000_400)
    text = "fork karst has time 1700000400, but jovian before it has none"
    config = rollup_config_from_json(found, source="my/rollup.json")
    assert config.warnings == (f"my/rollup.json: {text}",)
    assert Fork.KARST in config.schedule.times
    assert problems(found, strict=True) == (f"my/rollup.json: {text}",)


def test_equal_chain_ids_are_refused() -> None:
    assert problems(rollup(l1_chain_id=901)) == (
        "my/rollup.json: l2_chain_id: must differ from l1_chain_id, both are 901",
    )


def test_text_after_the_value_is_a_warning() -> None:
    config = rollup_config_from_text(json.dumps(ROLLUP) + " // mine", source="r.json")
    assert config.warnings == ("r.json: 7 characters after the end of the JSON value",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        "[" * 100_000,
        '{"block_time": ' + "9" * 10_000 + "}",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        '{"x": NaN}',
        "[]",
        "null",
        "1",
        '{"genesis": []}',
        '{"block_time": 2.0, "seq_window_size": 1e400, "l1_chain_id": -1, "l2_chain_id": true}',
    ],
    ids=range(13),
)
def test_what_is_no_rollup_config_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigError, match=r"^r\.json: "):
        rollup_config_from_text(text, source="r.json")


def test_keys_are_found_in_any_case_as_the_clients_do() -> None:
    found = rollup(block_time=None) | {"Block_Time": 3}
    assert rollup_config_from_json(found, source="r.json", strict=True).block_time == 3


def test_null_is_no_address_but_no_time_either() -> None:
    assert rollup_config_from_json(rollup() | {"fjord_time": None}, source="r.json", strict=True).extra == {}
    found = with_key(ROLLUP, "genesis.system_config.overhead", "x")
    found["genesis"]["system_config"]["overhead"] = None
    assert problems(found) == (
        "my/rollup.json: genesis.system_config.overhead: expected 0x and 64 hex digits, got null",
    )


def test_kroma_is_recognised_by_its_validator_reward_scalar() -> None:
    config = rollup_config_from_json(kroma_rollup(), source="r.json", strict=True)
    assert config.family is Family.KROMA
    assert config.genesis.system_config.validator_reward_scalar == bytes(30) + b"\x27\x10"
    assert not config.schedule.at(1_700_000_000).l1_info_in_op_form


def test_kroma_is_recognised_by_its_fork() -> None:
    assert family_of({"kroma_mpt_time": 5, "ecotone_time": 0}) is Family.KROMA


def test_a_file_with_forks_of_op_alone_is_not_kromas() -> None:
    assert family_of({"kroma_mpt_time": 5, "granite_time": 0}) is Family.OP


def test_a_given_family_is_not_guessed() -> None:
    config = rollup_config_from_json(rollup(kroma_mpt_time=5), source="r.json", family=Family.OP)
    assert config.warnings == ("r.json: kroma_mpt_time: is not a key of op-node",)


def test_kroma_needs_an_overhead() -> None:
    found = with_key(kroma_rollup(), "genesis.system_config.overhead", "0x" + "00" * 32)
    assert problems(found) == ("my/rollup.json: genesis.system_config.overhead: must not be zero",)


def test_a_fork_after_kromas_last_needs_that_one() -> None:
    assert problems(kroma_rollup(fjord_time=1_700_000_200)) == (
        "my/rollup.json: fork fjord has time 1700000200, but kroma_mpt before it has none",
    )


def test_kroma_files_get_the_keys_that_kroma_node_always_writes() -> None:
    written = rollup_config_to_json(rollup_config_from_json(kroma_rollup(), source="r.json"))
    assert written == kroma_rollup() | {
        "da_challenge_address": "0x" + "00" * 20,
        "da_challenge_window": 0,
        "da_resolve_window": 0,
        "use_plasma": False,
    }


def test_base_fee_constants_are_read_and_written_back() -> None:
    constants = {"eip1559Elasticity": 10, "eip1559Denominator": 8, "eip1559DenominatorCanyon": 80}
    config = rollup_config_from_json(rollup(chain_op_config=constants), source="r.json", strict=True)
    assert config.base_fee_params == BaseFeeParams(elasticity=10, denominator=8, denominator_canyon=80)
    assert rollup_config_to_json(config) == rollup(chain_op_config=constants)


def test_generic_commitments_of_alt_da_have_no_contract() -> None:
    alt_da = {"da_commitment_type": "GenericCommitment", "da_challenge_window": 160, "da_resolve_window": 170}
    written = rollup_config_to_json(rollup_config_from_json(rollup(alt_da=alt_da), source="r.json"))
    assert written["alt_da"] == alt_da | {"da_challenge_contract_address": "0x" + "00" * 20}
    wrong = alt_da | {"da_challenge_contract_address": "0x" + "09" * 20, "da_max_input_size": 5}
    assert len(problems(rollup(alt_da=wrong))) == 2


def test_flags_that_are_not_set_are_not_written() -> None:
    assert "keep_karst_upgrade_gas" not in rollup_config_to_json(rollup_config_from_json(ROLLUP, source="r.json"))
    config = rollup_config_from_json(rollup(keep_karst_upgrade_gas=True), source="r.json")
    assert rollup_config_to_json(config)["keep_karst_upgrade_gas"] is True


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("0x00"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_paths = [f"genesis.system_config.{key}" for key in ROLLUP["genesis"]["system_config"]] + [
    *ROLLUP,
    "genesis.l1.hash",
    "genesis.l2.number",
    "genesis.l1",
    "genesis.system_config",
    "chain_op_config",
    "alt_da",
    "jovian_time",
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_paths), _json_values, max_size=4))
def test_any_values_give_a_config_that_is_written_and_read_again_or_a_config_error(changes: dict[str, Any]) -> None:
    found = copy.deepcopy(ROLLUP)
    for path, value in sorted(changes.items(), key=lambda change: -change[0].count(".")):
        found = with_key(found, path, value) if value is not None or "." not in path else found
    try:
        config = rollup_config_from_json(found, source="r.json")
    except ConfigError:
        return
    written = rollup_config_to_json(config)
    again = rollup_config_from_json(written, source="r.json")
    assert again == config
    assert rollup_config_to_json(again) == written
