"""Payloads and attributes: JSON of the Engine API, headers, payload ids, SSZ."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.codec.headers import Header
from kroma_core.codec.payloads import (
    attributes_from_json,
    attributes_to_json,
    block_hash_of,
    envelope_from_json,
    envelope_to_json,
    header_of,
    payload_from_header,
    payload_from_json,
    payload_id,
    payload_to_json,
    requests_hash,
)
from kroma_core.codec.ssz_payload import decode_payload, encode_payload, layout_of
from kroma_core.errors import DecodeError
from kroma_core.l2 import Payload, PayloadAttributes
from kroma_core.types import Gas, L2Number, Timestamp, Wei
from tests.vectors.unit_files import OWN_VECTORS, hex_bytes, load

PAYLOAD = Payload(
    hash=b"\x01" * 32,
    parent_hash=b"\x02" * 32,
    number=L2Number(7),
    timestamp=Timestamp(1_700_000_000),
    fee_recipient=b"\x03" * 20,
    state_root=b"\x04" * 32,
    receipts_root=b"\x05" * 32,
    logs_bloom=b"\x06" * 256,
    prev_randao=b"\x07" * 32,
    gas_limit=Gas(30_000_000),
    gas_used=Gas(21_000),
    extra_data=b"extra",
    base_fee=Wei(2**200),
    transactions=(b"\x02one", b"", b"\x7etwo"),
)
LAYOUTS = {
    1: PAYLOAD,
    2: attrs.evolve(PAYLOAD, withdrawals=True),
    3: attrs.evolve(PAYLOAD, withdrawals=True, blob_gas_used=0, excess_blob_gas=0, parent_beacon_root=b"\x08" * 32),
    4: attrs.evolve(
        PAYLOAD,
        withdrawals=True,
        blob_gas_used=9,
        excess_blob_gas=0,
        parent_beacon_root=b"\x08" * 32,
        withdrawals_root=b"\x09" * 32,
    ),
}
ATTRIBUTES = PayloadAttributes(
    timestamp=Timestamp(5),
    prev_randao=b"\x01" * 32,
    fee_recipient=b"\x42" + bytes(18) + b"\x11",
    gas_limit=Gas(30_000_000),
    transactions=(b"\x7e\x01",),
    withdrawals=True,
    parent_beacon_root=b"\x02" * 32,
    eip1559_params=bytes.fromhex("000000fa00000006"),
    min_base_fee=1000,
)


@pytest.mark.parametrize(
    "chain", ["plain-canyon.json.xz", "blobs-fjord.json.xz", "plain-holocene.json.xz", "plain-jovian.json.xz"]
)
def test_recorded_payloads_have_their_hash_and_attributes_their_form(chain: str) -> None:
    for block in load(OWN_VECTORS / "op-chains" / chain)["expected"]["blocks"]:
        root = block["attributes"].get("parentBeaconBlockRoot")
        payload = payload_from_json(block["payload"], None if root is None else hex_bytes(root))
        assert block_hash_of(payload) == payload.hash == hex_bytes(block["hash"])
        assert {**block["payload"], **payload_to_json(payload)} == block["payload"]
        assert attributes_to_json(attributes_from_json(block["attributes"])) == block["attributes"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_payload_comes_back_from_json_from_its_header_and_from_ssz(layout: int) -> None:
    payload = LAYOUTS[layout]
    assert envelope_from_json(envelope_to_json(payload)) == payload
    header = header_of(payload)
    assert Header.decode(header.encode()) == header
    assert payload_from_header(header, payload.hash, payload.transactions) == payload
    assert layout_of(payload) == layout
    assert decode_payload(encode_payload(payload), layout) == payload


def test_the_storage_root_implies_the_hash_of_no_requests() -> None:
    assert header_of(LAYOUTS[3]).requests_hash is None
    assert header_of(LAYOUTS[4]).requests_hash == requests_hash([]) == requests_hash([b"\x00", b""])
    assert header_of(LAYOUTS[4]).withdrawals_root == b"\x09" * 32


@pytest.mark.parametrize("field", list(payload_to_json(LAYOUTS[1])))
def test_a_payload_with_a_malformed_field_is_refused(field: str) -> None:
    wrong: list[Any] = [None, 5, "5", "0xzz", "0x 1", "0x01 02", {}, ["0x1"], "0x" + "11" * 300]
    wrong += [] if field == "extraData" else ["0x"]
    wrong += [] if field == "transactions" else [[]]
    for value in wrong:
        with pytest.raises(DecodeError, match=field):
            payload_from_json({**payload_to_json(LAYOUTS[1]), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timestamp", "0x05"),
        ("timestamp", "0x10000000000000000"),
        ("prevRandao", "0x00"),
        ("minBaseFee", "0x3e8"),
        ("minBaseFee", 2**64),
        ("minBaseFee", -1),
        ("minBaseFee", 1.5),
        ("minBaseFee", True),
        ("noTxPool", "true"),
        ("noTxPool", 1),
        ("transactions", ["0x1"]),
        ("transactions", "0x"),
        ("withdrawals", {}),
        ("withdrawals", [{}]),
        ("withdrawals", ["0x"]),
        ("gasLimit", None),
        ("eip1559Params", "0x00"),
    ],
)
def test_attributes_with_a_malformed_field_are_refused(field: str, value: Any) -> None:
    with pytest.raises(DecodeError):
        attributes_from_json({**attributes_to_json(ATTRIBUTES), field: value})


def test_attributes_of_a_rollup_have_no_withdrawals() -> None:
    one = {"index": "0x1", "validatorIndex": "0x2", "address": "0x" + "11" * 20, "amount": "0x3"}
    with pytest.raises(DecodeError, match="withdrawals"):
        attributes_from_json({**attributes_to_json(ATTRIBUTES), "withdrawals": [one]})


CHANGES: list[dict[str, Any]] = [
    {"timestamp": Timestamp(6)},
    {"prev_randao": bytes(32)},
    {"fee_recipient": bytes(20)},
    {"gas_limit": Gas(1)},
    {"transactions": ()},
    {"transactions": (b"\x7e\x02",)},
    {"no_tx_pool": False},
    {"parent_beacon_root": None},
    {"eip1559_params": bytes(8)},
    {"min_base_fee": 1001},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_attribute_counts_in_the_payload_id(change: dict[str, Any]) -> None:
    parent = b"\x09" * 32
    assert payload_id(parent, attrs.evolve(ATTRIBUTES, **change), 3) != payload_id(parent, ATTRIBUTES, 3)
    assert payload_id(bytes(32), ATTRIBUTES, 3) != payload_id(parent, ATTRIBUTES, 3)
    assert payload_id(parent, ATTRIBUTES, 3)[0] == 3


def test_a_minimum_base_fee_of_zero_counts_in_the_payload_id_as_eight_bytes() -> None:
    parent = b"\x01" * 32
    without = attrs.evolve(ATTRIBUTES, min_base_fee=None)
    ids = {payload_id(parent, attrs.evolve(ATTRIBUTES, min_base_fee=fee), 3) for fee in (None, 0, 1)}
    assert len(ids) == 3
    assert payload_id(parent, without, 3) in ids


def test_a_header_without_base_fee_is_no_payload() -> None:
    with pytest.raises(DecodeError, match="base fee"):
        payload_from_header(attrs.evolve(header_of(PAYLOAD), base_fee=None), bytes(32), ())


@pytest.mark.parametrize(("layout", "fixed"), [(1, 508), (2, 512), (3, 32 + 528), (4, 32 + 560)])
def test_ssz_cut_in_its_fixed_part_is_refused(layout: int, fixed: int) -> None:
    raw = encode_payload(LAYOUTS[layout])
    for cut in (0, 31, 32, fixed - 1, fixed):
        with pytest.raises(DecodeError):
            decode_payload(raw[:cut], layout)


def test_ssz_of_an_unknown_layout_is_refused() -> None:
    with pytest.raises(DecodeError, match="layout"):
        decode_payload(b"", 5)


def test_fields_of_no_layout_are_not_written() -> None:
    with pytest.raises(ValueError, match="withdrawals list"):
        encode_payload(attrs.evolve(LAYOUTS[3], withdrawals=False))
    with pytest.raises(ValueError, match="blob gas"):
        encode_payload(attrs.evolve(LAYOUTS[4], blob_gas_used=None))


@given(st.sampled_from(list(LAYOUTS)), st.data())
@settings(max_examples=300)
def test_flipped_ssz_is_refused_or_is_a_payload(layout: int, data: st.DataObject) -> None:
    raw = bytearray(encode_payload(LAYOUTS[layout]))
    offsets = range(436 + 32 * (layout >= 3), len(raw))  # where the offsets and what they point to are
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.sampled_from(offsets))] = data.draw(st.integers(0, 255))
    try:
        payload = decode_payload(bytes(raw), layout)
    except DecodeError:
        return
    assert len(payload.hash) == 32
    assert sum(map(len, payload.transactions)) < len(raw)
