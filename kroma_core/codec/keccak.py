"""Keccak-256, the hash of Ethereum's formats, from the fastest back-end of the default install."""

from __future__ import annotations

from sha3 import keccak_256 as _keccak_256

EMPTY_HASH = _keccak_256(b"").digest()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data`, 32 bytes (original padding, not NIST SHA-3)."""
    digest: bytes = _keccak_256(data).digest()
    return digest
