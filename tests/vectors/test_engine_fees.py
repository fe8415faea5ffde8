"""L1 fee, operator fee and DA footprint against op-geth's and kroma-geth's fee functions."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.chain.config import Family
from kroma_core.chain.fastlz import compressed_size
from kroma_core.chain.fees import (
    L1FeeParameters,
    OperatorFeeParameters,
    da_footprint,
    da_footprint_gas_scalar,
    estimated_size_scaled,
    kroma_validator_reward,
    l1_fee,
    operator_fee,
)
from kroma_core.chain.geth_config import schedule_of_geth_config
from kroma_core.codec.deposits import decode_deposit
from kroma_core.codec.transactions import decode_transaction
from kroma_core.errors import DecodeError
from kroma_core.forks import KROMA_FORKS, Fork, Schedule
from kroma_core.types import Gas, Seconds, Timestamp, Wei
from tests.vectors.unit_files import hex_bytes, unit_cases

DEPOSIT = 0x7E


def _slot_reader(slots: dict[str, str]) -> Any:
    words = {int(slot, 16): int(word, 16) for slot, word in slots.items()}
    return lambda slot: words.get(slot, 0)


@unit_cases("op-units/fastlz")
def test_size_of_compressed_data(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    rule = case.get("data_rule")
    data = hex_bytes(rule["repeat"]) * rule["times"] if rule else hex_bytes(case["data"])
    expected = case["expected"]
    assert compressed_size(data) == expected["fastlz_size"]
    assert estimated_size_scaled(data) // 10**6 == int(expected["estimated_da_size"])


@unit_cases("op-units/l1_cost")
def test_l1_and_operator_fee(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    rules = schedule_of_geth_config(case["chain_config"], Family.OP, Seconds(2)).at(case["block_time"])
    slot = _slot_reader(case["slots"])
    raw = hex_bytes(case["tx"])
    expected = case["expected"]
    if raw[0] == DEPOSIT:
        assert expected["l1_fee"] is None
        gas_limit = decode_deposit(raw).gas
    else:
        gas_limit = decode_transaction(raw).gas
        stored = L1FeeParameters.from_storage(slot)
        assert l1_fee(raw, stored, stored.formula(rules.l1_fee)).fee == int(expected["l1_fee"])
    parameters = OperatorFeeParameters.from_storage(slot)
    for gas, key in ((gas_limit, "operator_fee_gas_limit"), (case["gas_used"], "operator_fee_gas_used")):
        assert operator_fee(Gas(gas), parameters, rules.operator_fee) == int(expected[key])


@unit_cases("op-units/da_footprint")
def test_da_footprint(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    raws = [hex_bytes(raw) for raw in case["transactions"]]
    if "error" in case:
        with pytest.raises(DecodeError):
            da_footprint_gas_scalar(decode_deposit(raws[0]).data)
        return
    scalar = da_footprint_gas_scalar(decode_deposit(raws[0]).data)
    assert scalar is not None
    assert da_footprint((raw for raw in raws if raw[0] != DEPOSIT), scalar) == case["expected"]


@unit_cases("kroma-units/l1_cost")
def test_kroma_l1_fee(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    times = {
        Fork.REGOLITH: Timestamp(0),
        Fork.CANYON: Timestamp(0),
        Fork.DELTA: Timestamp(0),
        Fork.ECOTONE: Timestamp(case["ecotone_time"]),
        Fork.KROMA_MPT: Timestamp(case["kroma_mpt_time"]),
    }
    rules = Schedule(table=KROMA_FORKS, times=times, block_time=Seconds(2)).at(Timestamp(case["time"]))
    contract, blob_base_fee_slot = ("15", 7) if rules.l1_info_in_op_form else ("02", 8)
    slot = _slot_reader(case["state"][f"0x42{contract:0>38}"])
    parameters = L1FeeParameters.from_storage(slot, blob_base_fee_slot=blob_base_fee_slot)
    assert l1_fee(hex_bytes(case["tx_data"]), parameters, parameters.formula(rules.l1_fee)).fee == int(case["l1_fee"])


@unit_cases("kroma-units/fee_distribution")
def test_kroma_fee_split(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    fee = Wei(case["gas_used"] * (int(case["base_fee"]) + int(case["effective_tip"])))
    reward = kroma_validator_reward(fee, int(case["validator_reward_scalar_slot"], 16))
    assert reward == int(case["reward"])
    assert fee - reward == int(case["protocol"])
