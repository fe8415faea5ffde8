"""Commitments and proofs of blobs of made-up L1s: each takes some 60 ms, and is remembered."""

from __future__ import annotations

import functools

from kroma_core.codec.kzg import commitment_of, proof_of


@functools.lru_cache(maxsize=64)
def committed(blob: bytes) -> bytes:
    """The commitment of a blob of 131 072 bytes."""
    return commitment_of(blob)


@functools.lru_cache(maxsize=64)
def proven(blob: bytes) -> tuple[bytes, bytes]:
    """Commitment and proof of a blob."""
    commitment = committed(blob)
    return commitment, proof_of(blob, commitment)
