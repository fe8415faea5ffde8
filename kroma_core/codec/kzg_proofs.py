"""Proofs of blobs made and checked with the curve library inside ckzg, without ckzg's own set-up.

A check needs one of the ceremony's 8 257 points, and to read them all takes 2 s. What is left of the work is arithmetic
in the field (2 to 3 ms of it a blob) and one pairing, which is computed without the interpreter's lock.
Spec: consensus-specs, deneb/polynomial-commitments.md, "verify_blob_kzg_proof", "compute_blob_kzg_proof".
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import threading
from collections.abc import Sequence
from typing import Any, Final

import attrs

from kroma_core.codec.kzg_commitments import BlobCommitments
from kroma_core.codec.kzg_library import exported, setup_points

MODULUS: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Of the field that a blob's elements are in."""
_ELEMENTS: Final = 4096
_ELEMENT: Final = 32
_BITS: Final = 255
_CHALLENGE: Final = b"FSBLOBVERIFY_V1_" + _ELEMENTS.to_bytes(16, "big")
_ROOT: Final = pow(7, (MODULUS - 1) // _ELEMENTS, MODULUS)
"""Its powers are the points at which a blob's elements are the values of its polynomial."""
_FP: Final = 48
"""Bytes of a coordinate in the curve library's own form."""
_COMPRESSED_G2: Final = 96
_WANTED: Final = (
    "blst_p1_uncompress",
    "blst_p1_affine_in_g1",
    "blst_p1_from_affine",
    "blst_p1_mult",
    "blst_p1_cneg",
    "blst_p1_add_or_double",
    "blst_p1_to_affine",
    "blst_p1_generator",
    "blst_p2_uncompress",
    "blst_p2_from_affine",
    "blst_p2_mult",
    "blst_p2_cneg",
    "blst_p2_add_or_double",
    "blst_p2_to_affine",
    "blst_p2_generator",
    "blst_p2_affine_generator",
    "blst_miller_loop",
    "blst_fp12_mul",
    "blst_final_exp",
    "blst_fp12_is_one",
)
_LOADING: Final = threading.Lock()


@attrs.frozen
class BlobProofs:
    """Sizes are the caller's to check. Every method raises `ValueError` where an element or a point is not valid."""

    _curve: ctypes.CDLL
    _secret: Any
    """The ceremony's secret times the second group's generator."""

    def holds(self, blob: bytes, commitment: bytes, proof: bytes) -> bool:
        """Whether the proof shows that the commitment is the blob's."""
        elements = _elements(blob)
        point = _challenge(blob, commitment)
        return self._pairing_holds(commitment, point, value_at(elements, point), proof)

    def point_holds(self, commitment: bytes, z: bytes, y: bytes, proof: bytes) -> bool:
        """Whether the proof shows that the committed polynomial has the value `y` at `z`."""
        return self._pairing_holds(commitment, _element(z), _element(y), proof)

    def of(self, blob: bytes, commitment: bytes, commitments: BlobCommitments) -> bytes:
        """The proof of a blob and a commitment, which need not be the blob's."""
        self._first_group(commitment)
        elements = _elements(blob)
        point = _challenge(blob, commitment)
        value = value_at(elements, point)
        distances = [(place - point) % MODULUS for place in _places()]
        quotient = [(one - value) * by % MODULUS for one, by in zip(elements, _inverses(distances), strict=True)]
        return commitments.of(b"".join([one.to_bytes(_ELEMENT, "big") for one in quotient]))

    def _pairing_holds(self, commitment: bytes, z: int, y: int, proof: bytes) -> bool:
        """Whether e(commitment - y, 1) is e(proof, secret - z), each number standing for so much of a generator."""
        curve = self._curve
        committed, shown = self._first_group(commitment), self._first_group(proof)
        left, right = _space(3), _space(6)
        curve.blst_p1_mult(left, ctypes.c_void_p(curve.blst_p1_generator()), _scalar(y), ctypes.c_size_t(_BITS))
        curve.blst_p1_cneg(left, ctypes.c_bool(True))
        curve.blst_p1_add_or_double(left, left, self._full(committed))
        curve.blst_p1_cneg(left, ctypes.c_bool(True))  # of the two sides one is inverted: their product is to be 1
        curve.blst_p2_mult(right, ctypes.c_void_p(curve.blst_p2_generator()), _scalar(z), ctypes.c_size_t(_BITS))
        curve.blst_p2_cneg(right, ctypes.c_bool(True))
        curve.blst_p2_add_or_double(right, right, self._secret)
        left_affine, right_affine = _space(2), _space(4)
        curve.blst_p1_to_affine(left_affine, left)
        curve.blst_p2_to_affine(right_affine, right)
        product, other = _space(12), _space(12)
        curve.blst_miller_loop(product, ctypes.c_void_p(curve.blst_p2_affine_generator()), left_affine)
        curve.blst_miller_loop(other, right_affine, shown)
        curve.blst_fp12_mul(product, product, other)
        curve.blst_final_exp(product, product)
        return bool(curve.blst_fp12_is_one(product))

    def _first_group(self, compressed: bytes) -> Any:
        point = _space(2)
        if self._curve.blst_p1_uncompress(point, compressed) != 0 or not self._curve.blst_p1_affine_in_g1(point):
            raise ValueError("a point is not in the first group")
        return point

    def _full(self, affine: Any) -> Any:
        point = _space(3)
        self._curve.blst_p1_from_affine(point, affine)
        return point


def blob_proofs() -> BlobProofs | None:
    """Quickly there the first time too; None where the build of ckzg does not export the curve."""
    with _LOADING:
        return _loaded()


@functools.cache
def _loaded() -> BlobProofs | None:
    curve = exported(_WANTED)
    if curve is None:
        return None
    for name in ("blst_p1_generator", "blst_p2_generator", "blst_p2_affine_generator"):
        getattr(curve, name).restype = ctypes.c_void_p
    for name in ("blst_p1_affine_in_g1", "blst_fp12_is_one"):
        getattr(curve, name).restype = ctypes.c_bool
    affine, secret = _space(4), _space(6)
    code = curve.blst_p2_uncompress(affine, setup_points().g2[_COMPRESSED_G2 : 2 * _COMPRESSED_G2])
    if code != 0:
        raise ValueError(f"the KZG set-up's second point of the second group is none (code {code})")
    curve.blst_p2_from_affine(secret, affine)
    return BlobProofs(curve, secret)


def value_at(elements: Sequence[int], point: int) -> int:
    """The value at a point of the polynomial that has these values at the roots of unity, in bit-reversed order.

    Neighbours are values at w and -w. Half their sum is a value, at the square of w, of what the polynomial has of even
    powers; half their difference over w of its odd powers: two polynomials of half the degree, put together again.
    """
    values = elements
    while len(values) > 1:
        values = [
            (one + other + (one - other) * by * point) % MODULUS
            for one, other, by in zip(values[::2], values[1::2], _inverse_places(), strict=False)
        ]
        point = point * point % MODULUS
    return values[0] * pow(len(elements), -1, MODULUS) % MODULUS


@functools.cache
def _places() -> tuple[int, ...]:
    return tuple(pow(_ROOT, int(f"{place:012b}"[::-1], 2), MODULUS) for place in range(_ELEMENTS))


@functools.cache
def _inverse_places() -> tuple[int, ...]:
    """One over each second place. Those of half as many elements are the first half of them."""
    return tuple(pow(place, -1, MODULUS) for place in _places()[::2])


def _inverses(numbers: Sequence[int]) -> list[int]:
    """One over each, with a single division. Raises `ValueError` where one of them is 0."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % MODULUS)
    rest = pow(products.pop(), -1, MODULUS)
    found: list[int] = []
    for number, before in zip(reversed(numbers), reversed(products), strict=True):
        found.append(rest * before % MODULUS)
        rest = rest * number % MODULUS
    found.reverse()
    return found


def _challenge(blob: bytes, commitment: bytes) -> int:
    return int.from_bytes(hashlib.sha256(_CHALLENGE + blob + commitment).digest(), "big") % MODULUS


def _elements(blob: bytes) -> list[int]:
    found = [int.from_bytes(blob[place : place + _ELEMENT], "big") for place in range(0, len(blob), _ELEMENT)]
    if max(found) >= MODULUS:
        raise ValueError("an element is not below the field's modulus")
    return found


def _element(data: bytes) -> int:
    if len(data) != _ELEMENT or (found := int.from_bytes(data, "big")) >= MODULUS:
        raise ValueError("a number is not below the field's modulus")
    return found


def _scalar(number: int) -> bytes:
    return number.to_bytes(_ELEMENT, "little")


def _space(coordinates: int) -> Any:
    return ctypes.create_string_buffer(coordinates * _FP)
