"""Blobs against their KZG commitments: what makes a blob from outside trustworthy.

The native library is loaded when the first blob is checked, which takes a tenth of a second. Callers on an event loop
have blobs checked in a thread; other threads go on meanwhile (`kzg_library`).
Spec: EIP-4844, "Helpers"; consensus-specs, deneb/polynomial-commitments.md.
"""

from __future__ import annotations

import hashlib

from kroma_core.codec.kzg_commitments import blob_commitments
from kroma_core.codec.kzg_library import kzg_library
from kroma_core.codec.kzg_proofs import blob_proofs
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32

BLOB_SIZE = 131_072
VERSION = b"\x01"


def versioned_hash_of(commitment: bytes) -> Hash32:
    """How transactions name a blob: version byte and the end of the commitment's SHA-256."""
    return VERSION + hashlib.sha256(commitment).digest()[1:]


def commitment_of(blob: bytes) -> bytes:
    """The KZG commitment (48 bytes) of a blob. Raises `DecodeError` where an element is no field element."""
    _expect_size(blob)
    try:
        commitments = blob_commitments()
        return kzg_library().commitment(blob) if commitments is None else commitments.of(blob)
    except (RuntimeError, ValueError) as error:
        raise DecodeError("blob: an element is not below the field's modulus") from error


def proof_of(blob: bytes, commitment: bytes) -> bytes:
    """The proof (48 bytes) that checks a blob against its commitment quickly. It takes longer than the commitment."""
    _expect_size(blob)
    _expect_points(commitment)
    try:
        commitments, proofs = blob_commitments(), blob_proofs()
        if commitments is None or proofs is None:
            return kzg_library().proof(blob, commitment)
        return proofs.of(blob, commitment, commitments)
    except (RuntimeError, ValueError) as error:
        raise DecodeError("blob: no proof can be made for this blob and commitment") from error


def check_blob(blob: bytes, versioned_hash: Hash32) -> None:
    """Refuse a blob that is not the one `versioned_hash` names, by computing its commitment (about 60 ms)."""
    found = versioned_hash_of(commitment_of(blob))
    if found != versioned_hash:
        raise DecodeError(f"blob: its commitment hashes to 0x{found.hex()}, not to 0x{versioned_hash.hex()}")


def check_blob_proof(blob: bytes, commitment: bytes, proof: bytes, versioned_hash: Hash32) -> None:
    """The same with a commitment and proof that came along (about 6 ms). Neither is trusted."""
    _expect_size(blob)
    _expect_points(commitment, proof)
    found = versioned_hash_of(commitment)
    if found != versioned_hash:
        raise DecodeError(f"blob: the commitment hashes to 0x{found.hex()}, not to 0x{versioned_hash.hex()}")
    try:
        holds = (blob_proofs() or kzg_library()).holds(blob, commitment, proof)
    except (RuntimeError, ValueError) as error:
        raise DecodeError("blob: blob, commitment or proof is malformed") from error
    if not holds:
        raise DecodeError("blob: the proof does not hold for this blob and commitment")


def point_holds(commitment: bytes, z: bytes, y: bytes, proof: bytes) -> bool:
    """Whether the committed polynomial has the value `y` at `z` (32 bytes each). Raises `DecodeError` if malformed."""
    _expect_points(commitment, proof)
    try:
        return (blob_proofs() or kzg_library()).point_holds(commitment, z, y, proof)
    except (RuntimeError, ValueError) as error:
        raise DecodeError("point of a blob: commitment, point or proof is malformed") from error


def _expect_size(blob: bytes) -> None:
    if len(blob) != BLOB_SIZE:
        raise DecodeError(f"blob: expected {BLOB_SIZE} bytes, got {len(blob)}")


def _expect_points(*points: bytes) -> None:
    for point in points:
        if len(point) != 48:
            raise DecodeError(f"blob: expected commitment and proof of 48 bytes, got {len(point)}")
