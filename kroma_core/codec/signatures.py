"""Addresses recovered from secp256k1 signatures, by the rules for transactions.

Spec: yellow paper, appendix F; EIP-2 (low s).
"""

from __future__ import annotations

from coincurve import PublicKey

from kroma_core.codec.keccak import keccak256
from kroma_core.errors import DecodeError
from kroma_core.types import Address, Hash32

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER = _ORDER // 2


def recover_address(message_hash: Hash32, y_parity: int, r: int, s: int) -> Address:
    """Who signed `message_hash`. Raises `DecodeError` where the signature is no valid one, or its s is high."""
    if not 0 <= y_parity <= 1:
        raise DecodeError("signature: the y parity is neither 0 nor 1")
    if not (0 < r < _ORDER and 0 < s <= _HALF_ORDER):
        raise DecodeError("signature: r or s is out of range")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((y_parity,))
    try:
        key = PublicKey.from_signature_and_message(signature, message_hash, hasher=None)
    except ValueError as error:
        raise DecodeError("signature: no public key belongs to it") from error
    return keccak256(key.format(compressed=False)[1:])[12:]
