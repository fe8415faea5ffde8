"""Signed transactions made by other hands: coincurve signs, the distribution `rlp` encodes."""

from __future__ import annotations

from typing import Any

import pytest
import sha3
from coincurve import PrivateKey

rlp = pytest.importorskip("rlp", reason="the independent encoder is the distribution `rlp`")

ALICE = PrivateKey(b"\x46" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def address_of(key: PrivateKey) -> bytes:
    return bytes(sha3.keccak_256(key.public_key.format(compressed=False)[1:]).digest()[12:])


def sign(key: PrivateKey, message: bytes) -> tuple[int, int, int]:
    """Parity, r and s of a signature of the hash of `message`."""
    signature = key.sign_recoverable(sha3.keccak_256(message).digest(), hasher=None)
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def signed_typed(kind: int, fields: list[Any], key: PrivateKey = ALICE) -> bytes:
    prefix = bytes((kind,))
    return prefix + bytes(rlp.encode([*fields, *sign(key, prefix + rlp.encode(fields))]))


def signed_legacy(fields: list[Any], chain_id: int | None, key: PrivateKey = ALICE) -> bytes:
    if chain_id is None:
        parity, r, s = sign(key, rlp.encode(fields))
        return bytes(rlp.encode([*fields, parity + 27, r, s]))
    parity, r, s = sign(key, rlp.encode([*fields, chain_id, 0, 0]))
    return bytes(rlp.encode([*fields, parity + 35 + 2 * chain_id, r, s]))


def signed_authorization(chain_id: int, address: bytes, nonce: int, key: PrivateKey) -> list[Any]:
    return [chain_id, address, nonce, *sign(key, b"\x05" + rlp.encode([chain_id, address, nonce]))]
