"""Addition, multiplication and pairing on BN254 (alt_bn128), over the arkworks library behind `zksnake`.

That library stops with a panic on a point that is not on the curve, so coordinates are checked here; whether a point of
G2 is in the right subgroup shows when the library decompresses it.
Spec: EIP-196, EIP-197, EIP-1108.
"""

from __future__ import annotations

from typing import Any

import gmpy2  # type: ignore[import-untyped]  # has no type information
from eth.exceptions import VMError
from zksnake._algebra import ec_bn254 as _curve  # type: ignore[import-untyped]  # has no type information

_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
_TWIST = (
    19485874751759354771024239261021720505790618469301721065564631296452457478373,
    266929791119991161246907387137283842545076965332900288569378510910307636690,
)
_PAIR_SIZE = 192
_NEGATIVE_Y = 0x80


class NotAPoint(VMError):
    """Coordinates that are no point of the group, or an input that is no list of pairs."""


def pairing_gas(data: bytes) -> int:
    return 45_000 + 34_000 * (len(data) // _PAIR_SIZE)


def add(data: bytes) -> bytes:
    """The sum of two points. In plain integers: the library takes a hundred times as long to read a point."""
    data = data[:128].ljust(128, b"\0")
    x1, y1 = _on_curve(data[:64])
    x2, y2 = _on_curve(data[64:])
    if not x1 and not y1:
        return _words(x2, y2)
    if not x2 and not y2:
        return _words(x1, y1)
    if x1 != x2:
        slope = (y2 - y1) * int(gmpy2.invert(x2 - x1, _FIELD))
    elif y1 == y2:
        slope = 3 * x1 * x1 * int(gmpy2.invert(2 * y1, _FIELD))
    else:
        return bytes(64)
    x = (slope * slope - x1 - x2) % _FIELD
    return _words(x, (slope * (x1 - x) - y1) % _FIELD)


def multiply(data: bytes) -> bytes:
    data = data[:96].ljust(96, b"\0")
    return _encoded(_g1(data[:64]) * (int.from_bytes(data[64:], "big") % _ORDER))


def pairing(data: bytes) -> bytes:
    """1 as a word if the product of the pairings is one, else 0.

    Every point is checked, those beside a point at infinity too; pairs with one contribute nothing.
    """
    if len(data) % _PAIR_SIZE:
        raise NotAPoint(f"pairing of {len(data)} bytes")
    left: list[Any] = []
    right: list[Any] = []
    for start in range(0, len(data), _PAIR_SIZE):
        one = _g1(data[start : start + 64])
        other = _g2(data[start + 64 : start + _PAIR_SIZE])
        if other is not None and not one.is_zero():
            left.append(one)
            right.append(other)
    is_one = not left or _curve.multi_pairing(left, right) == _one()
    return is_one.to_bytes(32, "big")


def _one() -> Any:
    """The neutral element of the target group: an empty product."""
    return _curve.multi_pairing([], [])


def _coordinate(data: bytes) -> int:
    number = int.from_bytes(data, "big")
    if number >= _FIELD:
        raise NotAPoint("coordinate beyond the field")
    return number


def _on_curve(data: bytes) -> tuple[int, int]:
    """Coordinates of a point, (0, 0) for infinity. Every point of the curve is in the group."""
    x = _coordinate(data[:32])
    y = _coordinate(data[32:])
    if (x or y) and (y * y - x * x * x - 3) % _FIELD:
        raise NotAPoint("not on the curve")
    return x, y


def _g1(data: bytes) -> Any:
    x, y = _on_curve(data)
    return _curve.PointG1(x, y) if x or y else _curve.PointG1.identity()


def _g2(data: bytes) -> Any:
    """A point of the twist's subgroup; None for infinity. Coordinates come with the imaginary part first."""
    x1, x0, y1, y0 = (_coordinate(data[start : start + 32]) for start in (0, 32, 64, 96))
    if not (x0 or x1 or y0 or y1):
        return None
    square = ((x0 + x1) * (x0 - x1) % _FIELD, 2 * x0 * x1 % _FIELD)
    cube = (square[0] * x0 - square[1] * x1, square[0] * x1 + square[1] * x0)
    if ((y0 + y1) * (y0 - y1) - cube[0] - _TWIST[0]) % _FIELD or (2 * y0 * y1 - cube[1] - _TWIST[1]) % _FIELD:
        raise NotAPoint("not on the twist")
    compressed = bytearray(x0.to_bytes(32, "little") + x1.to_bytes(32, "little"))
    if (y1, y0) > (-y1 % _FIELD, -y0 % _FIELD):
        compressed[-1] |= _NEGATIVE_Y
    try:
        return _curve.PointG2.from_bytes(bytes(compressed))
    except ValueError as error:
        raise NotAPoint("not in the subgroup") from error


def _encoded(point: Any) -> bytes:
    if point.is_zero():
        return bytes(64)
    return _words(point.x, point.y)


def _words(x: int, y: int) -> bytes:
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")
