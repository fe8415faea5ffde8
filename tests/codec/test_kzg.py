"""Blobs and their commitments."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import resources

import attrs
import ckzg
import pytest

from kroma_core.codec.kzg import (
    BLOB_SIZE,
    check_blob,
    check_blob_proof,
    commitment_of,
    proof_of,
    versioned_hash_of,
)
from kroma_core.codec.kzg_commitments import blob_commitments
from kroma_core.codec.kzg_library import kzg_library
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


def test_the_librarys_functions_answer_as_ckzgs_own_do() -> None:
    library = kzg_library()
    commitment = ckzg.blob_to_kzg_commitment(BLOB, library.setup)
    proof = ckzg.compute_blob_kzg_proof(BLOB, commitment, library.setup)
    assert (library.commitment(BLOB), library.proof(BLOB, commitment)) == (commitment, proof)
    assert library.holds(BLOB, commitment, proof)
    assert not library.holds(EMPTY_BLOB, commitment, proof)


def test_a_build_of_ckzg_that_exports_nothing_is_called_the_ordinary_way() -> None:
    library = kzg_library()
    plain = attrs.evolve(library, functions=None)
    commitment = plain.commitment(BLOB)
    assert commitment == library.commitment(BLOB)
    assert plain.holds(BLOB, commitment, plain.proof(BLOB, commitment))


HIGHEST = (0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000000).to_bytes(32, "big")
"""The largest field element."""


@pytest.mark.parametrize(
    "blob",
    [
        EMPTY_BLOB,
        BLOB,
        bytes(BLOB_SIZE - 1) + b"\1",
        HIGHEST + bytes(BLOB_SIZE - 32),
        HIGHEST * 4096,
        b"".join(b"\0" + hashlib.shake_256(b"%d" % place).digest(31) for place in range(4096)),
    ],
    ids=["empty", "second element", "last element", "largest", "largest everywhere", "any"],
)
def test_commitments_without_the_set_up_are_ckzgs(blob: bytes) -> None:
    commitments = blob_commitments()
    assert commitments is not None, "this build of ckzg does not export the curve library"
    assert commitments.of(blob) == ckzg.blob_to_kzg_commitment(blob, kzg_library().setup)


@pytest.mark.parametrize("place", [0, 2048, 4095])
def test_the_modulus_itself_is_no_element(place: int) -> None:
    commitments = blob_commitments()
    assert commitments is not None
    element = (int.from_bytes(HIGHEST, "big") + 1).to_bytes(32, "big")
    with pytest.raises(ValueError, match="modulus"):
        commitments.of(bytes(32 * place) + element + bytes(BLOB_SIZE - 32 * (place + 1)))


def test_a_commitment_needs_no_set_up() -> None:
    script = (
        "from kroma_core.codec import kzg, kzg_library as k; kzg.commitment_of(bytes(131072)); print(k.is_set_up())"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout == b"False\n"


def test_points_of_another_size_are_refused() -> None:
    with pytest.raises(DecodeError, match="48 bytes, got 47"):
        check_blob_proof(BLOB, INFINITY, bytes(47), versioned_hash_of(INFINITY))
