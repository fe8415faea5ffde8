"""Conformance suite of role `proof`: what every proof system has to do.

class TestMyProofs(ProofSystemSuite):
    def open_system(self, folder):
        return my_proof_system(folder)

    def statements(self):
        return [Statement(public_input=..., witness=...), Statement(public_input=..., witness=...)]
"""

from __future__ import annotations

import pickle
from abc import ABC

import pytest

from kroma_core.api import ProofSystem
from kroma_core.api.shape import shape_problems
from kroma_core.errors import KromaError, TemporaryError
from kroma_core.testing.levels import Level, level
from kroma_core.testing.proof_faults import ProofSystemFaults
from kroma_core.testing.proof_statements import Proved, flipped, noise, places, with_proof


class ProofSystemSuite(ProofSystemFaults, ABC):
    """Inherit, define `open_system` and `statements`, and name the class `Test...`."""

    @level(Level.DECLARED)
    def test_the_system_has_the_methods_of_its_protocol(self) -> None:
        async def body(proved: Proved) -> None:
            assert shape_problems(proved.system, ProofSystem) == []

        self.run(body)

    def test_what_was_proved_verifies(self) -> None:
        async def body(proved: Proved) -> None:
            for statement, proof in zip(proved.statements, proved.proofs, strict=True):
                assert proof.public_input == statement.public_input
                assert await proved.system.verify(proof) is True

        self.run(body)

    def test_a_proof_verifies_where_it_was_not_made(self) -> None:
        """A verifier has the proof and its settings, and nothing of the prover's memory or data folder."""

        sent: list[bytes] = []

        async def elsewhere(proved: Proved) -> None:
            for one in sent:
                assert await proved.system.verify(pickle.loads(one)) is True

        async def body(proved: Proved) -> None:
            sent.extend(pickle.dumps(proof) for proof in proved.proofs)

        self.run(body)
        self.run(elsewhere, prove=False)

    def test_verifying_again_gives_the_same(self) -> None:
        async def body(proved: Proved) -> None:
            wrong = with_proof(proved.proofs[0], b"")
            for _ in range(2):
                assert await proved.system.verify(proved.proofs[0]) is True
                assert await proved.system.verify(wrong) is False

        self.run(body)

    def test_proving_again_gives_a_proof_that_verifies(self) -> None:
        async def body(proved: Proved) -> None:
            first = proved.statements[0]
            again = await proved.system.prove(first.public_input, first.witness)
            assert await proved.system.verify(again) is True
            if self.deterministic:
                assert again == proved.proofs[0]

        self.run(body)

    def test_the_proof_of_another_public_input_is_refused(self) -> None:
        async def body(proved: Proved) -> None:
            first, second = proved.proofs[:2]
            assert await proved.system.verify(with_proof(first, second.proof)) is False
            assert await proved.system.verify(with_proof(second, first.proof)) is False

        self.run(body)

    def test_a_proof_with_a_flipped_bit_is_refused_wherever_it_is(self) -> None:
        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            taken = []
            for place in places(len(good.proof), self.flips):
                if await proved.system.verify(with_proof(good, flipped(good.proof, place))):
                    taken.append(place)
            assert taken == [], f"flipped at these bytes of {len(good.proof)}, the proof was accepted"

        self.run(body)

    def test_a_public_input_with_a_flipped_bit_is_refused_wherever_it_is(self) -> None:
        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            taken = []
            for place in places(len(good.public_input), self.flips):
                changed = with_proof(good, good.proof, flipped(good.public_input, place))
                if await proved.system.verify(changed):
                    taken.append(place)
            assert taken == [], f"flipped at these bytes of {len(good.public_input)}, the public input was accepted"

        self.run(body)

    def test_a_proof_of_another_length_is_refused(self) -> None:
        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            for proof in (good.proof[:-1], good.proof[1:], good.proof[: len(good.proof) // 2], good.proof + b"\0"):
                assert await proved.system.verify(with_proof(good, proof)) is False, f"{len(proof)} bytes"
            for public_input in (good.public_input[:-1], good.public_input + b"\0", b""):
                wrong = with_proof(good, good.proof, public_input)
                assert await proved.system.verify(wrong) is False, f"public input of {len(public_input)} bytes"

        self.run(body)

    def test_no_proof_at_all_is_refused(self) -> None:
        """A verifier that says yes to anything fails here, and nearly everywhere else."""

        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            for proof in (b"", bytes(len(good.proof)), b"\xff" * len(good.proof), noise(len(good.proof))):
                assert await proved.system.verify(with_proof(good, proof)) is False

        self.run(body)

    def test_a_witness_of_something_else_proves_nothing(self) -> None:
        async def body(proved: Proved) -> None:
            first, second = proved.statements[:2]
            for witness in (second.witness, flipped(first.witness, len(first.witness) // 2), b""):
                try:
                    proof = await proved.system.prove(first.public_input, witness)
                except TemporaryError:
                    pytest.fail("a wrong witness was called a temporary error: the node would try it again for ever")
                except KromaError:
                    continue
                assert await proved.system.verify(proof) is False

        self.run(body)
