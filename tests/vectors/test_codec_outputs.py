"""Output roots of both families, and super roots."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.errors import DecodeError
from kroma_core.output import ChainOutput, KromaOutput, Output, SuperOutput, decode_output, decode_super_output
from kroma_core.types import Timestamp
from tests.vectors.unit_files import hex_bytes, unit_cases


@unit_cases("op-units/output_root")
def test_output_roots(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    match case["kind"]:
        case "output_v0":
            output = Output(
                state_root=hex_bytes(case["state_root"]),
                message_passer_storage_root=hex_bytes(case["message_passer_storage_root"]),
                block_hash=hex_bytes(case["block_hash"]),
            )
            assert output.encode() == hex_bytes(case["preimage"])
            assert output.root == hex_bytes(case["expected"])
            assert decode_output(hex_bytes(case["preimage"])) == output
        case "super_v1":
            chains = [ChainOutput(int(chain["chain_id"]), hex_bytes(chain["output"])) for chain in case["chains"]]
            together = SuperOutput.of(Timestamp(case["timestamp"]), chains)
            assert together.encode() == hex_bytes(case["preimage"])
            assert together.root == hex_bytes(case["expected"])
            assert decode_super_output(hex_bytes(case["preimage"])) == together
        case "unmarshal" if "error" in case:
            with pytest.raises(DecodeError):
                decode_output(hex_bytes(case["data"]))
        case "unmarshal":
            assert decode_output(hex_bytes(case["data"])).encode() == hex_bytes(case["data"])
        case other:
            pytest.fail(f"unknown kind {other}")


@unit_cases("kroma-units/output_roots")
def test_kroma_output_roots(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    output = Output(
        state_root=hex_bytes(case["state_root"]),
        message_passer_storage_root=hex_bytes(case["message_passer_storage_root"]),
        block_hash=hex_bytes(case["block_hash"]),
    )
    assert output.root == hex_bytes(case["output_root"])
    with_next = KromaOutput(
        state_root=output.state_root,
        message_passer_storage_root=output.message_passer_storage_root,
        block_hash=output.block_hash,
        next_block_hash=hex_bytes(case["next_block_hash"]),
    )
    assert with_next.encode() == hex_bytes(case["kroma_preimage"])
    assert with_next.root == hex_bytes(case["kroma_output_root"])
