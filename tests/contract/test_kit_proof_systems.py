"""The kit finds what it is there to find: each planted fault of a proof system turns its test red, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from kroma_core.api import Proof
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import CriticalError, TemporaryError
from kroma_core.testing.proof import ProofSystemSuite
from kroma_core.testing.proof_statements import Statement
from tests.contract.planted import red_tests
from tests.contract.preimages import WITNESSES, Preimages, statements

HASHES = {keccak256(witness): witness for witness in WITNESSES}


class Plain(Preimages):
    def verify(self, proof: Proof) -> Any:
        return super().verify(proof)


class Closed(Preimages):
    """Verifies what it has made itself."""

    def __init__(self) -> None:
        self.made: set[bytes] = set()

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        self.made.add(public_input)
        return await super().prove(public_input, witness)

    async def verify(self, proof: Proof) -> bool:
        return await super().verify(proof) and proof.public_input in self.made


class Offended(Preimages):
    """Believes nobody any more after an empty proof."""

    offended = False

    async def verify(self, proof: Proof) -> bool:
        self.offended |= not proof.proof
        return await super().verify(proof) and not self.offended


class Worn(Preimages):
    """The second proof of a statement is none."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        found = await super().prove(public_input, witness)
        self.made.append(witness)
        return attrs.evolve(found, proof=witness[:-1]) if self.made.count(WITNESSES[0]) == 2 else found


class Unbound(Preimages):
    """Takes the proof of one thing for the proof of another."""

    async def verify(self, proof: Proof) -> bool:
        await trio.lowlevel.checkpoint()
        return proof.public_input in HASHES and keccak256(proof.proof) in HASHES


class OneByteUnread(Preimages):
    async def verify(self, proof: Proof) -> bool:
        known = HASHES.get(proof.public_input, b"")
        return await super().verify(attrs.evolve(proof, proof=proof.proof[:7] + known[7:8] + proof.proof[8:]))


class LastByteUnread(Preimages):
    """Looks at the public input but for its last byte."""

    async def verify(self, proof: Proof) -> bool:
        await trio.lowlevel.checkpoint()
        return len(proof.public_input) == 32 and keccak256(proof.proof)[:-1] == proof.public_input[:-1]


class Truncatable(Preimages):
    async def verify(self, proof: Proof) -> bool:
        known = HASHES.get(proof.public_input, b"")
        return await super().verify(proof) or (2 * len(proof.proof) >= len(known) > 0 and known.startswith(proof.proof))


class Padded(Preimages):
    """Does not look at what follows the public input."""

    async def verify(self, proof: Proof) -> bool:
        wrong = len(proof.public_input) > 1000
        return not wrong and await super().verify(attrs.evolve(proof, public_input=proof.public_input[:32]))


class TakesZeros(Preimages):
    async def verify(self, proof: Proof) -> bool:
        return await super().verify(proof) or (len(proof.proof) > 0 and not any(proof.proof))


class AlwaysTrue(Preimages):
    async def verify(self, proof: Proof) -> bool:
        await trio.lowlevel.checkpoint()
        return True


class Gullible(Preimages):
    """Proves what it is told to, and believes what it has proved."""

    def __init__(self) -> None:
        self.made: list[Proof] = []

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        await trio.lowlevel.checkpoint()
        self.made.append(Proof(public_input=public_input, proof=b"proof" + witness if witness else b"none"))
        return Proof(public_input=public_input, proof=witness) if self._right(-1) else self.made[-1]

    async def verify(self, proof: Proof) -> bool:
        return await super().verify(proof) or proof in self.made

    def _right(self, turn: int) -> bool:
        made = self.made[turn]
        return keccak256(made.proof.removeprefix(b"proof")) == made.public_input


class Hopeful(Preimages):
    """Would like to try a wrong witness again."""

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        try:
            return await super().prove(public_input, witness)
        except CriticalError as error:
            raise TemporaryError(str(error)) from error


class StuckProver(Preimages):
    busy = False

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        if self.busy:
            raise TemporaryError("busy")
        self.busy = True
        try:
            return await super().prove(public_input, witness)
        except CriticalError:
            self.busy = False
            raise
        finally:
            self.busy = self.busy and trio.current_effective_deadline() == float("-inf")


class StuckVerifier(Preimages):
    """After a question that was given up it answers that one first."""

    left: bool | None = None

    async def verify(self, proof: Proof) -> bool:
        if self.left is not None:
            found, self.left = self.left, None
            return found
        try:
            return await super().verify(proof)
        except trio.Cancelled:
            self.left = keccak256(proof.proof) == proof.public_input
            raise


class Particular(Preimages):
    """Raises what it should say no to."""

    async def verify(self, proof: Proof) -> bool:
        if len(proof.proof) > 100_000:
            raise CriticalError("the proof is too long")
        return await super().verify(proof)


class Shared(Preimages):
    """Keeps what it verifies in one place for all callers."""

    async def verify(self, proof: Proof) -> bool:
        self.current = proof
        await trio.lowlevel.checkpoint()
        return keccak256(self.current.proof) == self.current.public_input


FAULTS: list[tuple[type, set[str]]] = [
    (Preimages, set()),
    (Plain, {"test_the_system_has_the_methods_of_its_protocol"}),
    (Closed, {"test_a_proof_verifies_where_it_was_not_made"}),
    (Offended, {"test_verifying_again_gives_the_same"}),
    (Worn, {"test_proving_again_gives_a_proof_that_verifies"}),
    (Unbound, {"test_the_proof_of_another_public_input_is_refused"}),
    (OneByteUnread, {"test_a_proof_with_a_flipped_bit_is_refused_wherever_it_is"}),
    (LastByteUnread, {"test_a_public_input_with_a_flipped_bit_is_refused_wherever_it_is"}),
    (Truncatable, {"test_a_proof_of_another_length_is_refused"}),
    (Padded, {"test_a_proof_of_another_length_is_refused"}),
    (TakesZeros, {"test_no_proof_at_all_is_refused"}),
    (Gullible, {"test_a_witness_of_something_else_proves_nothing"}),
    (Hopeful, {"test_a_witness_of_something_else_proves_nothing"}),
    (StuckProver, {"test_proving_that_is_given_up_anywhere_leaves_the_system_usable"}),
    (StuckVerifier, {"test_verifying_that_is_given_up_anywhere_leaves_the_system_usable"}),
    (Particular, {"test_anything_can_be_asked_about_and_is_refused_without_an_error"}),
    (Shared, {"test_several_proofs_at_once_get_each_their_own_verdict"}),
]


def suite_of(kind: type[Preimages]) -> type:
    class Suite(ProofSystemSuite):
        deterministic = True

        @asynccontextmanager
        async def open_system(self, folder: Path) -> AsyncIterator[Any]:
            yield kind()

        def statements(self) -> Sequence[Statement]:
            return statements()

    return Suite


@pytest.mark.parametrize(("kind", "red"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_faults_of_proof_systems_are_named(kind: Any, red: set[str], tmp_path: Path) -> None:
    assert red_tests(suite_of(kind), tmp_path) == red


def test_a_verifier_that_always_says_yes_fails_wherever_something_is_refused(tmp_path: Path) -> None:
    refusing = {name for name in dir(ProofSystemSuite) if name.startswith("test_") and "refused" in name}
    assert len(refusing) == 6
    found = red_tests(suite_of(AlwaysTrue), tmp_path)
    assert found > refusing
    assert "test_no_proof_at_all_is_refused" in found
