"""op-units/payload_attributes and payload_to_config: attributes out of a parent and an epoch, and back."""

from __future__ import annotations

from typing import Any

import pytest

from kroma_core.codec.headers import Header
from kroma_core.codec.payloads import payload_from_json
from kroma_core.codec.receipts import Receipt
from kroma_core.derive.attributes import L1Origin, payload_attributes
from kroma_core.derive.l2_blocks import l2_ref, read_l2_block, system_config_of
from kroma_core.errors import CriticalError, DecodeError, ResetError, TemporaryError
from kroma_core.l2 import PayloadAttributes
from kroma_core.types import L1Number, L1Ref, Timestamp
from tests.vectors.client_json import (
    attributes_json,
    block_id,
    chain_config,
    l2_ref_from_json,
    system_config,
)
from tests.vectors.unit_files import hex_bytes, unit_cases

ERRORS = {"critical": CriticalError, "reset": ResetError, "temporary": TemporaryError}


@unit_cases("op-units/payload_attributes")
def test_payload_attributes_are_those_of_the_client(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(ERRORS[case["error_class"]]):
            prepare(case, unit_file)
    else:
        assert attributes_json(prepare(case, unit_file)) == case["expected"]


def prepare(case: dict[str, Any], unit_file: dict[str, Any]) -> PayloadAttributes:
    """Fetches and builds, as a driver does: derivation is pure, so a source that does not answer is the driver's."""
    if case["l1_unavailable"] or case["l2_unavailable"]:
        raise TemporaryError("the case's source does not answer")
    config = chain_config(case["rollup_config"], unit_file["l1_chain_config"])
    header = Header.decode(hex_bytes(case["l1_header"]))
    epoch = block_id(case["epoch"])
    assert epoch.hash == header.hash
    ref = L1Ref(
        hash=epoch.hash,
        number=L1Number(epoch.number),
        parent_hash=header.parent_hash,
        timestamp=Timestamp(header.timestamp),
    )
    receipts = tuple(Receipt.decode(hex_bytes(receipt["consensus"])) for receipt in case["receipts"])
    return payload_attributes(
        config,
        l2_ref_from_json(case["l2_parent"]),
        system_config(case["system_config_at_parent"]),
        L1Origin(ref=ref, header=header, receipts=receipts),
        dependency_set=case["dependency_set_chains"],
    )


@unit_cases("op-units/payload_to_config")
def test_payload_reads_as_the_reference_and_config_of_the_client(
    case: dict[str, Any], unit_file: dict[str, Any]
) -> None:
    config = chain_config(case["rollup_config"])
    payload = payload_from_json({**case["payload"], "transactions": case["payload"]["transactions"] or []})
    expected = case["expected"]
    if "block_ref_error" in expected:
        with pytest.raises(DecodeError):
            l2_ref(payload, config)
    else:
        assert l2_ref(payload, config) == l2_ref_from_json(expected["block_ref"])
    if "system_config_error" in expected:
        with pytest.raises(DecodeError):
            system_config_of(payload, config)
    else:
        assert system_config_of(payload, config) == system_config(expected["system_config"])
        assert read_l2_block(payload, config) == (l2_ref(payload, config), system_config_of(payload, config))
