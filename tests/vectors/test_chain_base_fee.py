"""op-units/base_fee and op-units/extra_data: EIP-1559 on L2, and the parameters in extraData and in attributes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kroma_core.chain.base_fee import decode_eip1559_params, decode_extra_data, encode_extra_data, next_base_fee
from kroma_core.chain.builtin import builtin
from kroma_core.chain.config import Family
from kroma_core.chain.config_fields import Fields
from kroma_core.chain.geth_config import base_fee_params_of_geth_config, schedule_of_geth_config
from kroma_core.codec.headers import EMPTY_ROOT, Header
from kroma_core.errors import DecodeError, KromaError
from kroma_core.forks import OP_FORKS, Fork, Schedule
from kroma_core.types import ZERO_ADDRESS, ZERO_HASH, Seconds, Timestamp
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/base_fee")
def test_base_fee(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    geth = case["chain_config"]
    params = base_fee_params_of_geth_config(Fields.of(geth, source=case["name"]), Family.OP)
    assert params is not None
    config = attrs.evolve(
        builtin("op-mainnet").rollup,
        schedule=schedule_of_geth_config(geth, Family.OP, Seconds(2)),
        base_fee_params=params,
    )
    parent = _header(case["parent"])
    if "error" in case:
        with pytest.raises(KromaError):
            next_base_fee(parent, case["time"], config)
    else:
        assert next_base_fee(parent, case["time"], config) == int(case["expected"])


@unit_cases("op-units/extra_data")
def test_extra_data(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    expected = case["expected"]
    if case["kind"] == "attributes":
        params = hex_bytes(case["eip1559_params"])
        if expected["error"] is not None:
            with pytest.raises(DecodeError):
                decode_eip1559_params(params)
        else:
            assert list(decode_eip1559_params(params) or (0, 0)) == expected["decoded"]
        return
    forks = list(OP_FORKS)
    active = forks[: forks.index(Fork(case["fork"])) + 1]
    schedule = Schedule(table=OP_FORKS, times={fork: Timestamp(0) for fork in active}, block_time=Seconds(2))
    data = hex_bytes(case["extra_data"])
    if expected["error"] is not None:
        with pytest.raises(DecodeError):
            decode_extra_data(data, schedule.at(0))
        return
    found = decode_extra_data(data, schedule.at(0))
    decoded = [0, 0, None] if found is None else [found.denominator, found.elasticity, found.min_base_fee]
    assert decoded == expected["decoded"]
    assert found is None or encode_extra_data(found) == data


def _header(found: dict[str, Any]) -> Header:
    return Header(
        parent_hash=ZERO_HASH,
        coinbase=ZERO_ADDRESS,
        state_root=EMPTY_ROOT,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        bloom=bytes(256),
        number=found["number"],
        gas_limit=found["gas_limit"],
        gas_used=found["gas_used"],
        timestamp=found["time"],
        extra_data=hex_bytes(found["extra_data"]),
        mix_hash=ZERO_HASH,
        base_fee=int(found["base_fee"]),
        blob_gas_used=found["blob_gas_used"],
    )
