"""ECRECOVER. Spec: yellow paper, appendix E.1."""

from __future__ import annotations

from coincurve import PublicKey

from kroma_core.codec.keccak import keccak256

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def recover(data: bytes) -> bytes:
    """The signer's address as a word; nothing where no signer belongs to the values. A high s is accepted."""
    data = data[:128].ljust(128, b"\0")
    v = int.from_bytes(data[32:64], "big")
    r = int.from_bytes(data[64:96], "big")
    s = int.from_bytes(data[96:128], "big")
    if v not in (27, 28) or not 0 < r < _ORDER or not 0 < s < _ORDER:
        return b""
    try:
        key = PublicKey.from_signature_and_message(data[64:128] + bytes((v - 27,)), data[:32], hasher=None)
    except ValueError:
        return b""
    return bytes(12) + keccak256(key.format(compressed=False)[1:])[12:]
