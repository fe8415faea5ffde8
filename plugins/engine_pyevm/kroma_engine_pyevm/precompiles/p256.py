"""P256VERIFY: signatures on the curve secp256r1. Spec: RIP-7212; fjord/exec-engine.md."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_INPUT_SIZE = 160
_VALID = (1).to_bytes(32, "big")
_ALGORITHM = ec.ECDSA(Prehashed(hashes.SHA256()))
_CURVE = ec.SECP256R1()


def verify(data: bytes) -> bytes:
    """1 as a word for a signature that holds, nothing otherwise: hash, r, s, x, y of 32 bytes each. Never fails."""
    if len(data) != _INPUT_SIZE:
        return b""
    r, s, x, y = (int.from_bytes(data[start : start + 32], "big") for start in (32, 64, 96, 128))
    if not 0 < r < _ORDER or not 0 < s < _ORDER or x >= _FIELD or y >= _FIELD:
        return b""
    try:
        key = ec.EllipticCurvePublicNumbers(x, y, _CURVE).public_key()
        key.verify(encode_dss_signature(r, s), data[:32], _ALGORITHM)
    except (ValueError, InvalidSignature):
        return b""
    return _VALID
