"""The KZG library's functions, called so that other threads go on while they compute.

ckzg's Python functions hold the interpreter's lock throughout: 50 ms a commitment, 2 s for the set-up. An event loop
stands still so long, whichever thread calls them. ctypes calls the same functions of the same shared library without
the lock. A build of ckzg that does not export them is called the ordinary way.
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

_CAPSULE_NAME: Final = b"KZGSettings"
"""What ckzg calls the set-up that it is handed. The text has to live as long as the capsule."""
_SETTINGS_SIZE: Final = 4096
"""Bytes for the library's set-up structure, which is a dozen pointers."""
_POINT: Final = 48
_WANTED: Final = ("load_trusted_setup", "blob_to_kzg_commitment", "compute_blob_kzg_proof", "verify_blob_kzg_proof")
_LOADING: Final = threading.Lock()
"""Two threads that need the set-up at once read it once."""


@attrs.frozen(kw_only=True)
class KzgLibrary:
    """The functions, with the ceremony's set-up. Points are 48 bytes, blobs 131 072: the caller has checked sizes.

    Errors of every method: `ValueError` or `RuntimeError` where a field element or a point is not valid.
    """

    setup: Any
    """What ckzg's own functions take as their last argument."""
    _functions: ctypes.CDLL | None
    _settings: Any

    def commitment(self, blob: bytes) -> bytes:
        if self._functions is None:
            import ckzg

            return bytes(ckzg.blob_to_kzg_commitment(blob, self.setup))
        found = ctypes.create_string_buffer(_POINT)
        _expect_done(self._functions.blob_to_kzg_commitment(found, blob, self._settings))
        return found.raw

    def proof(self, blob: bytes, commitment: bytes) -> bytes:
        if self._functions is None:
            import ckzg

            return bytes(ckzg.compute_blob_kzg_proof(blob, commitment, self.setup))
        found = ctypes.create_string_buffer(_POINT)
        _expect_done(self._functions.compute_blob_kzg_proof(found, blob, commitment, self._settings))
        return found.raw

    def holds(self, blob: bytes, commitment: bytes, proof: bytes) -> bool:
        if self._functions is None:
            import ckzg

            return bool(ckzg.verify_blob_kzg_proof(blob, commitment, proof, self.setup))
        found = ctypes.c_bool(False)
        code = self._functions.verify_blob_kzg_proof(ctypes.byref(found), blob, commitment, proof, self._settings)
        _expect_done(code)
        return found.value


def kzg_library() -> KzgLibrary:
    """The library with the set-up read, which takes seconds the first time."""
    with _LOADING:
        return _loaded()


def is_set_up() -> bool:
    """Whether the set-up has been read."""
    return _loaded.cache_info().currsize > 0


@functools.cache
def _loaded() -> KzgLibrary:
    import ckzg

    functions = exported(_WANTED)
    if functions is None:
        with resources.as_file(_setup_file()) as path:
            return KzgLibrary(setup=ckzg.load_trusted_setup(str(path), 0), functions=None, settings=None)
    points = setup_points()
    settings = ctypes.create_string_buffer(_SETTINGS_SIZE)
    parts = [(one, ctypes.c_uint64(len(one))) for one in (points.monomial, points.lagrange, points.g2)]
    code = functions.load_trusted_setup(settings, *(value for part in parts for value in part), ctypes.c_uint64(0))
    _expect_done(code)
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return KzgLibrary(
        setup=capsule(ctypes.addressof(settings), _CAPSULE_NAME, None), functions=functions, settings=settings
    )


@attrs.frozen(kw_only=True)
class SetupPoints:
    """The ceremony's points, compressed, one after another: 4096 of each kind of G1, 65 of G2."""

    lagrange: bytes
    g2: bytes
    monomial: bytes


def setup_points() -> SetupPoints:
    """The points in the file of the set-up."""
    first, second, *points = _setup_file().read_text().split()
    g1_count, g2_count = int(first), int(second)
    return SetupPoints(
        lagrange=bytes.fromhex("".join(points[:g1_count])),
        g2=bytes.fromhex("".join(points[g1_count : g1_count + g2_count])),
        monomial=bytes.fromhex("".join(points[g1_count + g2_count :])),
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


def _expect_done(code: int) -> None:
    if code != 0:
        raise ValueError(f"the KZG library refuses its input (code {code})")
