"""Fees in receipts as the JSON-RPC shows them, against op-geth."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.chain.config import Family
from kroma_core.chain.geth_config import schedule_of_geth_config
from kroma_core.chain.receipt_fees import block_fees
from kroma_core.codec.deposits import decode_deposit, is_deposit
from kroma_core.errors import DecodeError
from kroma_core.types import Seconds
from tests.vectors.unit_files import hex_bytes, unit_cases

FIELDS = frozenset(
    {
        "l1GasPrice", "l1GasUsed", "l1Fee", "l1FeeScalar", "l1BlobBaseFee", "l1BaseFeeScalar", "l1BlobBaseFeeScalar",
        "operatorFeeScalar", "operatorFeeConstant", "daFootprintGasScalar", "blobGasUsed",
    }
)  # fmt: skip


@unit_cases("op-units/receipt_fields")
def test_fee_fields_of_receipts(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    raws = [hex_bytes(raw) for raw in case["transactions"]]
    rules = schedule_of_geth_config(case["chain_config"], Family.OP, Seconds(2)).at(case["block_time"])
    l1_info = decode_deposit(raws[0]).data
    if "expected" not in case:
        with pytest.raises(DecodeError):
            block_fees(l1_info, rules)
        return
    for raw, expected in zip(raws, case["expected"], strict=True):
        found = {} if is_deposit(raw) else block_fees(l1_info, rules).fields(raw)
        assert found == {key: value for key, value in expected.items() if key in FIELDS}
