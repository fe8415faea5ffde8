"""SHA256, RIPEMD160, IDENTITY and BLAKE2F. Spec: yellow paper, appendix E.1; EIP-152."""

from __future__ import annotations

import hashlib
import struct

import blake2b  # type: ignore[import-untyped]  # has no type information
from Crypto.Hash import RIPEMD160
from eth.exceptions import VMError

_BLAKE2F_SIZE = 213
_BLAKE2F_INPUT = struct.Struct(">I")
_BLAKE2F_STATE = struct.Struct("<8Q16Q2Q")


class MalformedBlake2f(VMError):
    """The input has another length, or its final flag is neither 0 nor 1."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def ripemd160(data: bytes) -> bytes:
    """The hash as a word."""
    return bytes(12) + RIPEMD160.new(data).digest()


def identity(data: bytes) -> bytes:
    return data


def blake2f_gas(data: bytes) -> int:
    """One a round; nothing for malformed input, which then fails."""
    if len(data) != _BLAKE2F_SIZE:
        return 0
    (rounds,) = _BLAKE2F_INPUT.unpack_from(data)
    return int(rounds)


def blake2f(data: bytes) -> bytes:
    """The compression function of BLAKE2b: rounds u32, h, m and t little-endian, final flag."""
    if len(data) != _BLAKE2F_SIZE:
        raise MalformedBlake2f(f"expected {_BLAKE2F_SIZE} bytes, got {len(data)}")
    if data[-1] > 1:
        raise MalformedBlake2f(f"expected a final flag of 0 or 1, got {data[-1]}")
    (rounds,) = _BLAKE2F_INPUT.unpack_from(data)
    words = _BLAKE2F_STATE.unpack_from(data, 4)
    result: bytes = blake2b.compress(rounds, words[:8], words[8:24], words[24:], data[-1] == 1)
    return result
