"""L1 attributes deposits of both families, built and read."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.chain.config import FORK_TABLES, ChainConfig, Family
from kroma_core.chain.l1_config import l1_config_of_cancun
from kroma_core.codec.deposits import DepositTransaction, decode_deposit
from kroma_core.codec.headers import Header
from kroma_core.codec.keccak import keccak256
from kroma_core.derive.l1_info import L1Info, l1_info_deposit, parse_l1_info
from kroma_core.errors import DecodeError
from kroma_core.forks import Fork, Schedule
from kroma_core.types import Seconds, Timestamp
from tests.vectors.client_json import chain_config, system_config
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/l1_info_deposit")
def test_l1_info_deposit_is_that_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = chain_config(case["rollup_config"], unit_file["l1_chain_config"])
    header = Header.decode(hex_bytes(case["l1_header"]))
    assert header.hash == hex_bytes(case["l1_hash"])

    def build() -> DepositTransaction:
        return l1_info_deposit(
            config,
            system_config(case["system_config"]),
            sequence_number=case["sequence_number"],
            header=header,
            l1_hash=header.hash,
            l2_time=case["l2_timestamp"],
        )

    if "error" in case:
        with pytest.raises(DecodeError):
            build()
        return
    deposit = build()
    expected = case["expected"]
    assert deposit.encode() == hex_bytes(expected["tx"])
    assert keccak256(deposit.encode()) == hex_bytes(expected["tx_hash"])
    assert deposit.source_hash == hex_bytes(expected["source_hash"])
    assert _as_op_json(parse_l1_info(deposit.data, config, case["l2_timestamp"])) == expected["parsed"]


@unit_cases("op-units/l1_info_parse")
def test_l1_info_call_data_reads_as_the_client_reads_them(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = chain_config(case["rollup_config"])
    data = hex_bytes(case["calldata"])
    if "error" in case:
        with pytest.raises(DecodeError):
            parse_l1_info(data, config, case["l2_timestamp"])
    else:
        assert _as_op_json(parse_l1_info(data, config, case["l2_timestamp"])) == case["expected"]


@unit_cases("kroma-units/l1_info")
def test_kroma_l1_info_deposit_is_that_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    config = _kroma_config(case)
    header = Header.decode(hex_bytes(case["l1_header"]))
    assert header.hash == hex_bytes(case["l1_hash"])

    def build() -> bytes:
        deposit = l1_info_deposit(
            config,
            system_config(case["system_config"]),
            sequence_number=case["sequence_number"],
            header=header,
            l1_hash=header.hash,
            l2_time=case["l2_time"],
        )
        assert deposit.encode() == hex_bytes(case["raw_op_form"])
        legacy = config.rollup.schedule.at(case["l2_time"]).legacy_deposits
        return deposit.encode_legacy() if legacy else deposit.encode()

    if "error" in case:
        with pytest.raises(DecodeError):
            build()
        return
    raw = build()
    assert raw == hex_bytes(case["raw_block_form"])
    legacy = config.rollup.schedule.at(case["l2_time"]).legacy_deposits
    info = parse_l1_info(decode_deposit(raw, legacy=legacy).data, config, case["l2_time"])
    assert _as_kroma_json(info) == case["parsed"]


def _kroma_config(case: dict[str, Any]) -> ChainConfig:
    """A chain of the family with the case's fork times; what else it has does not enter the L1 attributes."""
    times = {Fork.REGOLITH: Timestamp(0), Fork.CANYON: Timestamp(0), Fork.DELTA: Timestamp(0)}
    for fork, key in ((Fork.ECOTONE, "ecotone_time"), (Fork.KROMA_MPT, "kroma_mpt_time")):
        if case[key] is not None:
            times[fork] = Timestamp(case[key])
    schedule = Schedule(table=FORK_TABLES[Family.KROMA], times=times, block_time=Seconds(case["block_time"]))
    config = chain_config(_ANY_ROLLUP)
    rollup = attrs.evolve(config.rollup, family=Family.KROMA, schedule=schedule)
    return ChainConfig(rollup=rollup, l1=l1_config_of_cancun(900))


def _as_op_json(info: L1Info) -> dict[str, Any]:
    return {
        "base_fee": str(info.base_fee),
        "base_fee_scalar": info.base_fee_scalar,
        "batcher_addr": "0x" + info.batcher.hex(),
        "blob_base_fee": None if info.blob_base_fee is None else str(info.blob_base_fee),
        "blob_base_fee_scalar": info.blob_base_fee_scalar,
        "block_hash": "0x" + info.block_hash.hex(),
        "da_footprint_gas_scalar": info.da_footprint_gas_scalar,
        "l1_fee_overhead": "0x" + info.overhead.hex(),
        "l1_fee_scalar": "0x" + info.scalar.hex(),
        "number": info.number,
        "operator_fee_constant": info.operator_fee_constant,
        "operator_fee_scalar": info.operator_fee_scalar,
        "sequence_number": info.sequence_number,
        "time": info.time,
    }


def _as_kroma_json(info: L1Info) -> dict[str, Any]:
    return {
        "baseFee": hex(info.base_fee),
        "baseFeeScalar": info.base_fee_scalar,
        "batcherAddr": "0x" + info.batcher.hex(),
        "blobBaseFee": None if info.blob_base_fee is None else hex(info.blob_base_fee),
        "blobBaseFeeScalar": info.blob_base_fee_scalar,
        "blockHash": "0x" + info.block_hash.hex(),
        "l1FeeOverhead": "0x" + info.overhead.hex(),
        "l1FeeScalar": "0x" + info.scalar.hex(),
        "number": info.number,
        "sequenceNumber": info.sequence_number,
        "time": info.time,
        "validatorRewardScalar": "0x" + info.validator_reward_scalar.hex(),
    }


_WORD = "0x" + "00" * 32
_ANY_ROLLUP: dict[str, Any] = {
    "genesis": {
        "l1": {"hash": "0x" + "11" * 32, "number": 0},
        "l2": {"hash": "0x" + "22" * 32, "number": 0},
        "l2_time": 1,
        "system_config": {
            "batcherAddr": "0x" + "33" * 20,
            "overhead": _WORD,
            "scalar": "0x" + "01" * 32,
            "gasLimit": 30000000,
        },
    },
    "block_time": 2,
    "max_sequencer_drift": 600,
    "seq_window_size": 3600,
    "channel_timeout": 300,
    "l1_chain_id": 900,
    "l2_chain_id": 901,
    "batch_inbox_address": "0xff" + "00" * 19,
    "deposit_contract_address": "0x" + "44" * 20,
    "l1_system_config_address": "0x" + "55" * 20,
}
