"""The blob codec, and commitments of blobs, against op-node's and go-ethereum's."""

from __future__ import annotations

from typing import Any

import pytest
from kroma_da_blob.codec import BLOB_SIZE, decode, encode

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.kzg import check_blob, check_blob_proof, commitment_of, proof_of, versioned_hash_of
from kroma_core.errors import DecodeError
from tests.vectors.unit_files import hex_bytes, unit_cases


def _data(case: dict[str, Any]) -> bytes:
    if "data" in case:
        return hex_bytes(case["data"])
    rule = case["data_rule"]
    return bytes((i * i * 7 + i * 13 + rule["seed"]) % 256 for i in range(rule["len"]))


def _blob(case: dict[str, Any]) -> bytes:
    blob = bytearray(hex_bytes(case["blob"]).ljust(BLOB_SIZE, b"\0"))
    for offset, value in case["patches"]:
        blob[offset] = value
    return bytes(blob)


@unit_cases("op-units/blob")
def test_blobs(case: dict[str, Any], unit_file: dict[str, Any]) -> None:
    turn = encode if case["direction"] == "encode" else decode
    given = _data(case) if case["direction"] == "encode" else _blob(case)
    if "error" in case:
        with pytest.raises(DecodeError):
            turn(given)
        return
    expected, got = case["expected"], turn(given)
    if case["direction"] == "decode":
        if isinstance(expected, str):
            assert got == hex_bytes(expected)
        else:
            assert (len(got), keccak256(got)) == (expected["len"], hex_bytes(expected["keccak256"]))
        return
    assert keccak256(got) == hex_bytes(expected["blob_keccak256"])
    if "blob" in expected:
        assert got == hex_bytes(expected["blob"]).ljust(BLOB_SIZE, b"\0")
    assert decode(got) == given
    commitment, versioned_hash = hex_bytes(expected["kzg_commitment"]), hex_bytes(expected["versioned_hash"])
    assert commitment_of(got) == commitment
    assert versioned_hash_of(commitment) == versioned_hash
    check_blob(got, versioned_hash)
    check_blob_proof(got, commitment, proof_of(got, commitment), versioned_hash)
