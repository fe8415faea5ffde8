"""Deposits and config updates in the logs of an L1 block, as both families' clients read them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.chain.config import FORK_TABLES, Family, RollupConfig
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.receipts import Receipt, bloom_of
from kroma_core.derive.deposits import decode_deposit_log, user_deposits
from kroma_core.derive.system_config import CONFIG_UPDATE, ConfigReason, apply_config_updates
from kroma_core.errors import CriticalError, DecodeError
from kroma_core.forks import Fork, Schedule
from kroma_core.types import BlockId, Seconds, Timestamp
from tests.vectors.client_json import chain_config, log, system_config
from tests.vectors.unit_files import hex_bytes, unit_cases

L1_BLOCK = BlockId(bytes(32), 1)


def receipts_of(case: dict[str, Any]) -> tuple[Receipt, ...]:
    return tuple(Receipt.decode(hex_bytes(receipt["consensus"])) for receipt in case["receipts"])


@unit_cases("op-units/user_deposits")
def test_user_deposits_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    hashes = {found["block_hash"] for receipt in case["receipts"] for found in receipt["logs"]}
    l1_hash = hex_bytes(hashes.pop()) if hashes else bytes(32)
    portal = hex_bytes(unit_file["deposit_contract_address"])
    if "error" in case:
        with pytest.raises(CriticalError):
            user_deposits(receipts_of(case), portal, l1_hash)
        return
    deposits = user_deposits(receipts_of(case), portal, l1_hash)
    assert [deposit.encode() for deposit in deposits] == [hex_bytes(raw) for raw in case["expected"]]


@unit_cases("kroma-units/deposit_logs")
def test_kroma_deposit_log_is_read_as_by_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    l1_hash = hex_bytes(case["l1_block_hash"])
    if "error" in case:
        with pytest.raises(DecodeError):
            decode_deposit_log(log(case["log"]), l1_hash, case["log_index"])
        return
    deposit = decode_deposit_log(log(case["log"]), l1_hash, case["log_index"])
    assert deposit.encode() == hex_bytes(case["op_raw"])
    assert deposit.encode_legacy() == hex_bytes(case["kroma_raw"])
    assert keccak256(deposit.encode_legacy()) == hex_bytes(case["kroma_hash"])


@unit_cases("op-units/system_config_update")
def test_config_updates_leave_the_config_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    rollup = chain_config(case["rollup_config"]).rollup
    before = system_config(case["system_config"])
    after, verdicts = apply_config_updates(before, receipts_of(case), rollup, L1_BLOCK, case["l1_time"])
    assert after == system_config(case["expected"])
    malformed = any(verdict.reason is ConfigReason.MALFORMED for verdict in verdicts)
    assert malformed == (case["errors"] is not None)


@unit_cases("kroma-units/system_config_logs")
def test_kroma_config_update_leaves_the_config_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    found = log(case["log"])
    receipt = Receipt(type=2, status=1, cumulative_gas_used=0, bloom=bloom_of([found]), logs=(found,))
    before = system_config(case["before"])
    rollup = kroma_rollup(Timestamp(case["ecotone_time"]), found.address)
    after, verdicts = apply_config_updates(before, [receipt], rollup, L1_BLOCK, case["l1_time"])
    if found.topics[:1] != (CONFIG_UPDATE,):
        assert not verdicts
        assert after == before
    elif "error" in case:
        assert verdicts[0].reason is ConfigReason.MALFORMED
        assert after == before
    else:
        assert verdicts[0].reason is not ConfigReason.MALFORMED
        assert after == system_config(case["after"])


def kroma_rollup(ecotone: Timestamp, system_config_address: bytes) -> RollupConfig:
    """A rollup of the family, with one fork time and the address of its config contract."""
    word = "0x" + "01" * 32
    config = chain_config(
        {
            "genesis": {
                "l1": {"hash": word, "number": 0},
                "l2": {"hash": "0x" + "02" * 32, "number": 0},
                "l2_time": 1,
                "system_config": {"batcherAddr": "0x" + "33" * 20, "overhead": word, "scalar": word, "gasLimit": 1},
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
    )
    times = {Fork.REGOLITH: Timestamp(0), Fork.CANYON: Timestamp(0), Fork.DELTA: Timestamp(0), Fork.ECOTONE: ecotone}
    schedule = Schedule(table=FORK_TABLES[Family.KROMA], times=times, block_time=Seconds(2))
    return attrs.evolve(
        config.rollup, family=Family.KROMA, schedule=schedule, system_config_address=system_config_address
    )
