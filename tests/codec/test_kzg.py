"""Blobs and their commitments."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import ckzg
import pytest

from kroma_core.codec import kzg
from kroma_core.codec.kzg import (
    BLOB_SIZE,
    check_blob,
    check_blob_proof,
    commitment_of,
    point_holds,
    proof_of,
    versioned_hash_of,
)
from kroma_core.codec.kzg_commitments import blob_commitments
from kroma_core.codec.kzg_library import kzg_library
from kroma_core.codec.kzg_proofs import MODULUS, blob_proofs, value_at
from kroma_core.errors import DecodeError

EMPTY_BLOB = bytes(BLOB_SIZE)
INFINITY = b"\xc0" + bytes(47)
"""Commitment of a blob of zeros: the point at infinity."""
BLOB = b"\x01".rjust(64, b"\0").ljust(BLOB_SIZE, b"\0")


def test_the_setup_is_the_ceremonys() -> None:
    data = (resources.files("kroma_core.codec") / "data" / "kzg_trusted_setup.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7"


def test_the_empty_blob_commits_to_infinity() -> None:
    assert commitment_of(EMPTY_BLOB) == INFINITY
    expected = "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014"
    assert versioned_hash_of(INFINITY).hex() == expected


def test_a_blob_with_one_bit_changed_is_refused() -> None:
    commitment = commitment_of(BLOB)
    proof, versioned_hash = proof_of(BLOB, commitment), versioned_hash_of(commitment)
    check_blob(BLOB, versioned_hash)
    check_blob_proof(BLOB, commitment, proof, versioned_hash)
    changed = BLOB[:-1] + b"\1"
    with pytest.raises(DecodeError, match="its commitment hashes to"):
        check_blob(changed, versioned_hash)
    with pytest.raises(DecodeError, match="does not hold"):
        check_blob_proof(changed, commitment, proof, versioned_hash)


def test_a_proof_with_another_commitment_is_refused() -> None:
    commitment = commitment_of(BLOB)
    proof, versioned_hash = proof_of(BLOB, commitment), versioned_hash_of(commitment)
    with pytest.raises(DecodeError, match="the commitment hashes to"):
        check_blob_proof(BLOB, INFINITY, proof, versioned_hash)
    with pytest.raises(DecodeError, match="malformed"):
        check_blob_proof(BLOB, commitment, b"\xff" * 48, versioned_hash)


@pytest.mark.parametrize("size", [0, BLOB_SIZE - 1, BLOB_SIZE + 1])
def test_a_blob_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="expected 131072 bytes"):
        commitment_of(bytes(size))


def test_an_element_above_the_modulus_is_refused() -> None:
    with pytest.raises(DecodeError, match="modulus"):
        commitment_of(b"\xff" * 32 + bytes(BLOB_SIZE - 32))


def test_a_build_of_ckzg_that_exports_nothing_is_called_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    commitment = commitment_of(BLOB)
    proof = proof_of(BLOB, commitment)
    monkeypatch.setattr(kzg, "blob_commitments", lambda: None)
    monkeypatch.setattr(kzg, "blob_proofs", lambda: None)
    assert (commitment_of(BLOB), proof_of(BLOB, commitment)) == (commitment, proof)
    check_blob_proof(BLOB, commitment, proof, versioned_hash_of(commitment))
    assert point_holds(INFINITY, bytes(32), bytes(32), INFINITY)


HIGHEST = (0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000000).to_bytes(32, "big")
"""The largest field element."""
ANY = b"".join(b"\0" + hashlib.shake_256(b"%d" % place).digest(31) for place in range(4096))
BLOBS = {
    "empty": EMPTY_BLOB,
    "second element": BLOB,
    "last element": bytes(BLOB_SIZE - 1) + b"\1",
    "largest": HIGHEST + bytes(BLOB_SIZE - 32),
    "largest everywhere": HIGHEST * 4096,
    "any": ANY,
}
OFF_THE_GROUP = bytes.fromhex("8" + "0" * 94 + "4")
"""A point of the curve that is not in the first group."""


@pytest.fixture(scope="module")
def setup() -> Any:
    """What ckzg's own functions take as their last argument."""
    return kzg_library()._setup


@pytest.mark.parametrize("blob", BLOBS.values(), ids=BLOBS)
def test_commitments_and_proofs_without_the_set_up_are_ckzgs(blob: bytes, setup: Any) -> None:
    commitments, proofs = blob_commitments(), blob_proofs()
    assert commitments is not None, "this build of ckzg does not export the curve library"
    assert proofs is not None, "this build of ckzg does not export the curve library"
    commitment = ckzg.blob_to_kzg_commitment(blob, setup)
    assert commitments.of(blob) == commitment
    proof = ckzg.compute_blob_kzg_proof(blob, commitment, setup)
    assert proofs.of(blob, commitment, commitments) == proof
    assert proofs.holds(blob, commitment, proof)
    other = ckzg.blob_to_kzg_commitment(ANY[::-1][:32] + bytes(BLOB_SIZE - 32) if blob != ANY else BLOB, setup)
    assert not proofs.holds(blob, other, proof)
    assert not proofs.holds(blob, commitment, other)


@pytest.mark.parametrize("z", [0, 1, 2, 2**200, int.from_bytes(HIGHEST, "big")], ids=["0", "1", "2", "large", "-1"])
def test_points_are_proven_as_ckzg_proves_them(z: int, setup: Any) -> None:
    commitment = commitment_of(ANY)
    proof, y = ckzg.compute_kzg_proof(ANY, z.to_bytes(32, "big"), setup)
    wrong = ((int.from_bytes(y, "big") + 1) % MODULUS).to_bytes(32, "big")
    assert point_holds(commitment, z.to_bytes(32, "big"), y, proof)
    assert not point_holds(commitment, z.to_bytes(32, "big"), wrong, proof)
    assert not point_holds(commitment, ((z + 1) % MODULUS).to_bytes(32, "big"), y, proof)
    assert value_at([int.from_bytes(ANY[at : at + 32], "big") for at in range(0, BLOB_SIZE, 32)], z) == int.from_bytes(
        y, "big"
    )


@pytest.mark.parametrize(
    "point",
    [OFF_THE_GROUP, b"\xff" * 48, bytes(48), b"\xc0" + bytes(46) + b"\1", b"\xe0" + bytes(47)],
    ids=["off the group", "off the curve", "uncompressed", "infinity and more", "minus infinity"],
)
def test_what_is_no_point_of_the_first_group_is_refused(point: bytes, setup: Any) -> None:
    zero = bytes(32)
    for commitment, proof in ((point, INFINITY), (INFINITY, point)):
        with pytest.raises((RuntimeError, ValueError)):
            ckzg.verify_kzg_proof(commitment, zero, zero, proof, setup)
        with pytest.raises(DecodeError, match="malformed"):
            point_holds(commitment, zero, zero, proof)
    with pytest.raises(DecodeError, match="no proof can be made"):
        proof_of(BLOB, point)


@pytest.mark.parametrize("number", [MODULUS.to_bytes(32, "big"), b"\xff" * 32, bytes(31)])
def test_a_point_or_value_that_is_no_field_element_is_refused(number: bytes) -> None:
    for z, y in ((number, bytes(32)), (bytes(32), number)):
        with pytest.raises(DecodeError, match="malformed"):
            point_holds(INFINITY, z, y, INFINITY)


@pytest.mark.parametrize("place", [0, 2048, 4095])
def test_the_modulus_itself_is_no_element(place: int) -> None:
    blob = bytes(32 * place) + MODULUS.to_bytes(32, "big") + bytes(BLOB_SIZE - 32 * (place + 1))
    with pytest.raises(DecodeError, match="modulus"):
        commitment_of(blob)
    with pytest.raises(DecodeError, match="malformed"):
        check_blob_proof(blob, INFINITY, INFINITY, versioned_hash_of(INFINITY))
    with pytest.raises(DecodeError, match="no proof can be made"):
        proof_of(blob, INFINITY)


def test_nothing_reads_the_whole_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(kzg, "kzg_library", lambda: read.append("the set-up"))
    commitment = commitment_of(ANY)
    check_blob_proof(ANY, commitment, proof_of(ANY, commitment), versioned_hash_of(commitment))
    point_holds(INFINITY, bytes(32), bytes(32), INFINITY)
    assert not read


def test_points_of_another_size_are_refused() -> None:
    with pytest.raises(DecodeError, match="48 bytes, got 47"):
        check_blob_proof(BLOB, INFINITY, bytes(47), versioned_hash_of(INFINITY))
