"""Payloads and attributes of the Engine API and of gossip: JSON, SSZ, headers, hashes, payload ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kroma_core.codec.attributes import EngineAttributes
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.payloads import block_hash_of, header_of_call, payload_from_json, payload_to_json
from kroma_core.codec.ssz_payload import decode_payload, encode_payload
from kroma_core.errors import DecodeError
from kroma_core.forks import OP_FORKS, Fork, Rules, Schedule
from kroma_core.l2 import Payload
from kroma_core.types import Seconds, Timestamp
from tests.vectors.unit_files import hex_bytes, unit_cases


def _payload(case: dict[str, Any]) -> Payload:
    root = case["parent_beacon_block_root"]
    return payload_from_json(case["payload"], None if root is None else hex_bytes(root))


def _rules(name: str) -> Rules:
    """Rules of a chain on which everything up to the fork `name` is active from genesis."""
    order = list(OP_FORKS)
    active = order[1 : order.index(Fork(name)) + 1]
    times = {fork: Timestamp(0) for fork in active}
    return Schedule(table=OP_FORKS, times=times, block_time=Seconds(2)).at(0)


@unit_cases("op-units/block_hash")
def test_block_hashes(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    payload = _payload(case)
    assert payload_to_json(payload) == case["payload"]
    if case["kind"] == "node":
        computed = block_hash_of(payload)
        assert computed == hex_bytes(case["expected"]["hash"])
        assert (computed == payload.hash) is case["expected"]["ok"]
        return
    requests = case["execution_requests"]
    given = None if requests is None else [hex_bytes(request) for request in requests]
    if "error" in case:
        with pytest.raises(DecodeError):
            header_of_call(payload, given, _rules(case["fork"]))
        return
    header = header_of_call(payload, given, _rules(case["fork"]))
    assert header.encode() == hex_bytes(case["expected"]["header_rlp"])
    assert header.hash == hex_bytes(case["expected"]["hash"])


@unit_cases("op-units/payload_id")
def test_payload_ids(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    attributes = EngineAttributes.from_json(case["attributes"])
    assert attributes.payload_id(hex_bytes(case["parent"]), case["payload_version"]) == hex_bytes(case["expected"])


@unit_cases("op-units/payload_attributes_json")
def test_payload_attributes(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(DecodeError):
            EngineAttributes.from_json(json.loads(case["json"]))
        return
    present = {key: value for key, value in case["expected"].items() if value is not None}
    assert EngineAttributes.from_json(json.loads(case["json"])).to_json() == present


@unit_cases("op-units/payload_ssz")
def test_payload_ssz(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    if case["direction"] == "encode":
        encoded = encode_payload(_payload(case))
        expected = case["expected"]
        if isinstance(expected, dict):
            assert len(encoded) == expected["len"]
            assert keccak256(encoded) == hex_bytes(expected["keccak256"])
        else:
            assert encoded == hex_bytes(expected)
        return
    raw = hex_bytes(case["ssz"])
    if "error" in case:
        with pytest.raises(DecodeError):
            decode_payload(raw, case["version"])
        return
    root = case["expected"]["parent_beacon_block_root"]
    payload = decode_payload(raw, case["version"])
    assert payload_to_json(payload) == case["expected"]["payload"]
    assert payload.parent_beacon_root == (None if root is None else hex_bytes(root))
