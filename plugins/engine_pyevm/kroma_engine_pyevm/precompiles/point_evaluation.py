"""Evaluation of a blob's polynomial at a point. Spec: EIP-4844, "Point evaluation precompile"."""

from __future__ import annotations

from eth.exceptions import VMError

from kroma_core.codec.kzg import point_holds, versioned_hash_of
from kroma_core.errors import DecodeError

_INPUT_SIZE = 192
_FIELD_ELEMENTS_PER_BLOB = 4096
_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_RESULT = _FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + _MODULUS.to_bytes(32, "big")


class NotProven(VMError):
    """The proof does not hold, or the input is malformed."""


def verify(data: bytes) -> bytes:
    """Versioned hash, z, y, commitment and proof; gives the size and the modulus of blobs if the proof holds."""
    if len(data) != _INPUT_SIZE:
        raise NotProven(f"input of {len(data)} bytes")
    commitment = data[96:144]
    if versioned_hash_of(commitment) != data[:32]:
        raise NotProven("commitment of another versioned hash")
    try:
        holds = point_holds(commitment, data[32:64], data[64:96], data[144:])
    except DecodeError as error:
        raise NotProven(str(error)) from error
    if not holds:
        raise NotProven("proof does not hold")
    return _RESULT
