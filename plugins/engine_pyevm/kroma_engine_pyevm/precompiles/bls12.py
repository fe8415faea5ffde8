"""The operations on BLS12-381, over arkworks. Spec: EIP-2537."""

from __future__ import annotations

from typing import TypeVar

from eth.exceptions import VMError
from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

_Point = TypeVar("_Point", G1Point, G2Point)
_PADDING = bytes(16)
_G1_SIZE = 128
_G2_SIZE = 256
_SCALAR_SIZE = 32
_G1_TERM = _G1_SIZE + _SCALAR_SIZE
_G2_TERM = _G2_SIZE + _SCALAR_SIZE
_PAIR_SIZE = _G1_SIZE + _G2_SIZE
_G1_MULTIPLY_GAS = 12_000
_G2_MULTIPLY_GAS = 22_500
# Price of a term in thousandths, by the number of terms.
_G1_DISCOUNTS = (
    1000, 949, 848, 797, 764, 750, 738, 728, 719, 712, 705, 698, 692, 687, 682, 677, 673, 669, 665, 661, 658, 654, 651,
    648, 645, 642, 640, 637, 635, 632, 630, 627, 625, 623, 621, 619, 617, 615, 613, 611, 609, 608, 606, 604, 603, 601,
    599, 598, 596, 595, 593, 592, 591, 589, 588, 586, 585, 584, 582, 581, 580, 579, 577, 576, 575, 574, 573, 572, 570,
    569, 568, 567, 566, 565, 564, 563, 562, 561, 560, 559, 558, 557, 556, 555, 554, 553, 552, 551, 550, 549, 548, 547,
    547, 546, 545, 544, 543, 542, 541, 540, 540, 539, 538, 537, 536, 536, 535, 534, 533, 532, 532, 531, 530, 529, 528,
    528, 527, 526, 525, 525, 524, 523, 522, 522, 521, 520, 520, 519,
)  # fmt: skip
_G2_DISCOUNTS = (
    1000, 1000, 923, 884, 855, 832, 812, 796, 782, 770, 759, 749, 740, 732, 724, 717, 711, 704, 699, 693, 688, 683, 679,
    674, 670, 666, 663, 659, 655, 652, 649, 646, 643, 640, 637, 634, 632, 629, 627, 624, 622, 620, 618, 615, 613, 611,
    609, 607, 606, 604, 602, 600, 598, 597, 595, 593, 592, 590, 589, 587, 586, 584, 583, 582, 580, 579, 578, 576, 575,
    574, 573, 571, 570, 569, 568, 567, 566, 565, 563, 562, 561, 560, 559, 558, 557, 556, 555, 554, 553, 552, 552, 551,
    550, 549, 548, 547, 546, 545, 545, 544, 543, 542, 541, 541, 540, 539, 538, 537, 537, 536, 535, 535, 534, 533, 532,
    532, 531, 530, 530, 529, 528, 528, 527, 526, 526, 525, 524, 524,
)  # fmt: skip


class NotAnElement(VMError):
    """An input of the wrong length, or bytes that are no element of the field or the group."""


def _msm_gas(terms: int, price: int, discounts: tuple[int, ...]) -> int:
    if not terms:
        return 0
    return terms * price * discounts[min(terms, len(discounts)) - 1] // 1000


def g1_msm_gas(data: bytes) -> int:
    return _msm_gas(len(data) // _G1_TERM, _G1_MULTIPLY_GAS, _G1_DISCOUNTS)


def g2_msm_gas(data: bytes) -> int:
    return _msm_gas(len(data) // _G2_TERM, _G2_MULTIPLY_GAS, _G2_DISCOUNTS)


def pairing_gas(data: bytes) -> int:
    return 37_700 + 32_600 * (len(data) // _PAIR_SIZE)


def g1_add(data: bytes) -> bytes:
    """Sum of two points, which need not be in the subgroup."""
    _expect(len(data) == 2 * _G1_SIZE, data)
    return _encoded(_g1(data[:_G1_SIZE]) + _g1(data[_G1_SIZE:]))


def g2_add(data: bytes) -> bytes:
    """Sum of two points, which need not be in the subgroup."""
    _expect(len(data) == 2 * _G2_SIZE, data)
    return _encoded(_g2(data[:_G2_SIZE]) + _g2(data[_G2_SIZE:]))


def g1_msm(data: bytes) -> bytes:
    """Sum of points of the subgroup, each times a scalar."""
    _expect(bool(data) and len(data) % _G1_TERM == 0, data)
    starts = range(0, len(data), _G1_TERM)
    points = [_in_subgroup(_g1(data[start : start + _G1_SIZE])) for start in starts]
    return _encoded(G1Point.multiexp_unchecked(points, [_scalar(data, start + _G1_SIZE) for start in starts]))


def g2_msm(data: bytes) -> bytes:
    """Sum of points of the subgroup, each times a scalar."""
    _expect(bool(data) and len(data) % _G2_TERM == 0, data)
    starts = range(0, len(data), _G2_TERM)
    points = [_in_subgroup(_g2(data[start : start + _G2_SIZE])) for start in starts]
    return _encoded(G2Point.multiexp_unchecked(points, [_scalar(data, start + _G2_SIZE) for start in starts]))


def pairing(data: bytes) -> bytes:
    """1 as a word if the product of the pairings is one, else 0."""
    _expect(bool(data) and len(data) % _PAIR_SIZE == 0, data)
    left = []
    right = []
    for start in range(0, len(data), _PAIR_SIZE):
        left.append(_in_subgroup(_g1(data[start : start + _G1_SIZE])))
        right.append(_in_subgroup(_g2(data[start + _G1_SIZE : start + _PAIR_SIZE])))
    return GT.pairing_check(left, right).to_bytes(32, "big")


def map_to_g1(data: bytes) -> bytes:
    """A point of the subgroup from a field element."""
    _expect(len(data) == 64, data)
    try:
        return _encoded(G1Point.map_from_fp_be(_field_elements(data)))
    except ValueError as error:
        raise NotAnElement(str(error)) from error


def map_to_g2(data: bytes) -> bytes:
    """A point of the subgroup from an element of the quadratic extension."""
    _expect(len(data) == 128, data)
    try:
        return _encoded(G2Point.map_from_fp2_be(_field_elements(data)))
    except ValueError as error:
        raise NotAnElement(str(error)) from error


def _expect(holds: bool, data: bytes) -> None:
    if not holds:
        raise NotAnElement(f"input of {len(data)} bytes")


def _field_elements(data: bytes) -> bytes:
    """Elements of 48 bytes out of the 64 that each takes in an input."""
    parts = []
    for start in range(0, len(data), 64):
        if data[start : start + 16] != _PADDING:
            raise NotAnElement("field element beyond 48 bytes")
        parts.append(data[start + 16 : start + 64])
    return b"".join(parts)


def _g1(data: bytes) -> G1Point:
    """A point on the curve."""
    try:
        return G1Point.from_xy_bytes_unchecked_be(_field_elements(data))
    except ValueError as error:
        raise NotAnElement(str(error)) from error


def _g2(data: bytes) -> G2Point:
    """A point on the twist."""
    try:
        return G2Point.from_xy_bytes_unchecked_be(_field_elements(data))
    except ValueError as error:
        raise NotAnElement(str(error)) from error


def _in_subgroup(point: _Point) -> _Point:
    if not point.is_in_subgroup():
        raise NotAnElement("not in the subgroup")
    return point


def _scalar(data: bytes, start: int) -> Scalar:
    return Scalar.from_be_bytes_mod_order(data[start : start + _SCALAR_SIZE])


def _encoded(point: G1Point | G2Point) -> bytes:
    raw = point.to_xy_bytes_be()
    return b"".join([_PADDING + raw[start : start + 48] for start in range(0, len(raw), 48)])
