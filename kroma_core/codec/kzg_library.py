"""The KZG library: the curve library inside of it, and its own functions where a build does not export that.

ckzg's Python functions hold the interpreter's lock throughout, 50 ms a commitment, and want the ceremony's whole
set-up, which takes 2 s to read. An event loop stands still so long, whichever thread calls them. `kzg_commitments` and
`kzg_proofs` call the curve library in the same shared library instead, through ctypes, without the lock or the set-up.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import attrs

_LOADING: Final = threading.Lock()
"""Two threads that need the set-up at once read it once."""


@attrs.frozen
class KzgLibrary:
    """ckzg's own functions. Points are 48 bytes, blobs 131 072: the caller has checked sizes.

    Errors of every method: `ValueError` or `RuntimeError` where a field element or a point is not valid.
    """

    _setup: Any

    def commitment(self, blob: bytes) -> bytes:
        import ckzg

        return bytes(ckzg.blob_to_kzg_commitment(blob, self._setup))

    def proof(self, blob: bytes, commitment: bytes) -> bytes:
        import ckzg

        return bytes(ckzg.compute_blob_kzg_proof(blob, commitment, self._setup))

    def holds(self, blob: bytes, commitment: bytes, proof: bytes) -> bool:
        import ckzg

        return bool(ckzg.verify_blob_kzg_proof(blob, commitment, proof, self._setup))

    def point_holds(self, commitment: bytes, z: bytes, y: bytes, proof: bytes) -> bool:
        import ckzg

        return bool(ckzg.verify_kzg_proof(commitment, z, y, proof, self._setup))


def kzg_library() -> KzgLibrary:
    """The library with the set-up read, which takes seconds the first time."""
    with _LOADING:
        return _loaded()


@functools.cache
def _loaded() -> KzgLibrary:
    import ckzg

    with resources.as_file(_setup_file()) as path:
        return KzgLibrary(ckzg.load_trusted_setup(str(path), 0))


@attrs.frozen(kw_only=True)
class SetupPoints:
    """The ceremony's points, compressed, one after another: 4096 values of the first group, 65 powers of the second."""

    lagrange: bytes
    g2: bytes


@functools.cache
def setup_points() -> SetupPoints:
    """The points in the file of the set-up."""
    first, second, *points = _setup_file().read_text().split()
    g1_count, g2_count = int(first), int(second)
    return SetupPoints(
        lagrange=bytes.fromhex("".join(points[:g1_count])),
        g2=bytes.fromhex("".join(points[g1_count : g1_count + g2_count])),
    )


def exported(names: Sequence[str]) -> ctypes.CDLL | None:
    """ckzg's shared library, where functions of these names can be found in it."""
    import ckzg

    if ckzg.__file__ is None:
        return None
    try:
        functions = ctypes.CDLL(ckzg.__file__)
    except OSError:
        return None
    return functions if all(hasattr(functions, name) for name in names) else None


def _setup_file() -> Traversable:
    return resources.files("kroma_core.codec") / "data" / "kzg_trusted_setup.txt"
