"""Commitments of blobs from the curve library inside ckzg, without ckzg's own set-up.

Reading that takes 2 s, nearly all of it for what commitments do not need. A commitment is a sum: the ceremony's
Lagrange points, each times an element of the blob. It is computed without the interpreter's lock.
Spec: consensus-specs, deneb/polynomial-commitments.md, "blob_to_kzg_commitment", "g1_lincomb".
"""

from __future__ import annotations

import ctypes
import functools
import threading
from typing import Any, Final

import attrs

from kroma_core.codec.kzg_library import exported, setup_points

_ELEMENTS: Final = 4096
_POINT: Final = 48
_AFFINE: Final = 2 * _POINT
"""Bytes of a point in the curve library's own form, which only the library writes and reads."""
_SUM: Final = 3 * _POINT
_BITS: Final = 255
_MODULUS: Final = bytes.fromhex("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001")
_WANTED: Final = (
    "blst_p1_uncompress",
    "blst_p1s_mult_pippenger",
    "blst_p1s_mult_pippenger_scratch_sizeof",
    "blst_p1_compress",
)
_LOADING: Final = threading.Lock()


@attrs.frozen
class BlobCommitments:
    """The points, in the order in which the elements of a blob's bytes come when these are read backwards."""

    _library: ctypes.CDLL
    _points: Any
    _scratch_size: int

    def of(self, blob: bytes) -> bytes:
        """The commitment of a blob of 131 072 bytes. Raises `ValueError` where an element is no field element."""
        if max(blob[::32]) >= _MODULUS[0] and any(
            blob[place : place + 32] >= _MODULUS for place in range(0, len(blob), 32)
        ):
            raise ValueError("an element is not below the field's modulus")
        scalars = ctypes.create_string_buffer(blob[::-1], len(blob))  # the library wants their low bytes first
        scratch = ctypes.create_string_buffer(self._scratch_size)
        total = ctypes.create_string_buffer(_SUM)
        self._library.blst_p1s_mult_pippenger(
            total,
            _in_a_row(self._points),
            ctypes.c_size_t(_ELEMENTS),
            _in_a_row(scalars),
            ctypes.c_size_t(_BITS),
            scratch,
        )
        found = ctypes.create_string_buffer(_POINT)
        self._library.blst_p1_compress(found, total)
        return found.raw


def blob_commitments() -> BlobCommitments | None:
    """The points, read the first time (a tenth of a second); None where the build of ckzg does not export the curve."""
    with _LOADING:
        return _loaded()


@functools.cache
def _loaded() -> BlobCommitments | None:
    library = exported(_WANTED)
    if library is None:
        return None
    # Thousands of short calls: each of them would wait for the interpreter's lock if it let go of it.
    reading = ctypes.PyDLL(library._name)
    compressed = setup_points().lagrange
    points = ctypes.create_string_buffer(_ELEMENTS * _AFFINE)
    where = ctypes.addressof(points)
    for place in range(_ELEMENTS):
        # A blob's elements are values at points in bit-reversed order; counted from its end, as they are read here.
        start = _POINT * (_ELEMENTS - 1 - int(f"{place:012b}"[::-1], 2))
        code = reading.blst_p1_uncompress(ctypes.c_void_p(where + place * _AFFINE), compressed[start : start + _POINT])
        if code != 0:
            raise ValueError(f"the KZG set-up's point at byte {start} is none (code {code})")
    size = library.blst_p1s_mult_pippenger_scratch_sizeof
    size.restype, size.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    return BlobCommitments(library, points, size(_ELEMENTS))


def _in_a_row(values: Any) -> Any:
    """How the library is told that values follow each other in memory: the first one's address, then none."""
    return (ctypes.c_void_p * 2)(ctypes.addressof(values), None)
