"""MODEXP: powers modulo a number of any size. Spec: EIP-198, EIP-2565; EIP-7823 and EIP-7883 for the bounded form."""

from __future__ import annotations

from typing import NamedTuple

import gmpy2  # type: ignore[import-untyped]  # has no type information
from eth.exceptions import VMError

_HEADER = 96
_MAX_OPERAND = 1024
_U64 = 2**64


class OperandTooLong(VMError):
    """An operand exceeds 1024 bytes (EIP-7823)."""


class _Sizes(NamedTuple):
    base: int
    exponent: int
    modulus: int


def _sizes(data: bytes) -> _Sizes:
    header = data[:_HEADER].ljust(_HEADER, b"\0")
    return _Sizes(*(int.from_bytes(header[start : start + 32], "big") for start in (0, 32, 64)))


def reads(data: memoryview) -> int:
    """How much of the input matters: the three lengths and what they announce, nothing behind that."""
    sizes = _sizes(bytes(data[:_HEADER]))
    return _HEADER + (sum(sizes) if sizes.base or sizes.modulus else 32)


def _operand(data: bytes, start: int, size: int) -> int:
    """An operand; the input continues with zeros beyond its end."""
    if start >= len(data):
        return 0
    part = data[start : start + size]
    return int.from_bytes(part, "big") << 8 * (size - len(part))


def _iterations(data: bytes, sizes: _Sizes, multiplier: int) -> int:
    """How often the algorithm squares: from the exponent's size, and the position of its highest bit."""
    head = _operand(data, _HEADER + sizes.base, min(sizes.exponent, 32))
    count = max(sizes.exponent - 32, 0) * multiplier
    if head:
        count += head.bit_length() - 1
    return max(count, 1)


def gas(data: bytes) -> int:
    """Spec: EIP-2565, "Specification"."""
    sizes = _sizes(data)
    words = (max(sizes.base, sizes.modulus) + 7) // 8
    return max(200, words * words * _iterations(data, sizes, 8) // 3)


def bounded_gas(data: bytes) -> int:
    """Spec: EIP-7883, "Specification"."""
    sizes = _sizes(data)
    longest = max(sizes.base, sizes.modulus)
    complexity = 16 if longest <= 32 else 2 * ((longest + 7) // 8) ** 2
    return max(500, complexity * _iterations(data, sizes, 16))


def power(data: bytes) -> bytes:
    """base ** exponent % modulus, as long as the modulus; all zeros for a modulus of zero.

    Called with gas paid, so sizes are within what gas can buy, except where base and modulus are empty.
    """
    sizes = _sizes(data)
    if not sizes.base and not sizes.modulus:
        return b""
    base = _operand(data, _HEADER, sizes.base)
    exponent = _operand(data, _HEADER + sizes.base, sizes.exponent)
    modulus = _operand(data, _HEADER + sizes.base + sizes.exponent, sizes.modulus)
    if not modulus:
        return bytes(sizes.modulus)
    return int(gmpy2.powmod(base, exponent, modulus)).to_bytes(sizes.modulus, "big")


def bounded_power(data: bytes) -> bytes:
    """The same, refusing operands of more than 1024 bytes. Spec: EIP-7823."""
    longest = max(_sizes(data))
    if longest > _MAX_OPERAND:
        raise OperandTooLong(f"{longest} bytes" if longest < _U64 else "beyond 64 bits")
    return power(data)
