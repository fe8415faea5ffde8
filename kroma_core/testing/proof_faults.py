"""Levels `faults` and `load` of role `proof`: callers that give up, input of any size, several calls at a time."""

from __future__ import annotations

from functools import partial

import trio

from kroma_core.api import Proof
from kroma_core.testing.cancelling import STEPS, given_up_after
from kroma_core.testing.levels import Level, level
from kroma_core.testing.proof_statements import AtStatements, Proved, flipped, noise, with_proof

HUGE = 1 << 20


class ProofSystemFaults(AtStatements):
    """Tests of a `ProofSystemSuite`."""

    @level(Level.FAULTS)
    def test_proving_that_is_given_up_anywhere_leaves_the_system_usable(self) -> None:
        async def body(proved: Proved) -> None:
            first, second = proved.statements[:2]
            for steps in STEPS:
                await given_up_after(steps, partial(proved.system.prove, first.public_input, first.witness))
            proof = await proved.system.prove(second.public_input, second.witness)
            assert proof.public_input == second.public_input
            assert await proved.system.verify(proof) is True

        self.run(body)

    @level(Level.FAULTS)
    def test_verifying_that_is_given_up_anywhere_leaves_the_system_usable(self) -> None:
        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            wrong = with_proof(good, flipped(good.proof, 0))
            for steps in STEPS:
                await given_up_after(steps, partial(proved.system.verify, good))
                assert await proved.system.verify(wrong) is False
            assert await proved.system.verify(good) is True

        self.run(body)

    @level(Level.FAULTS)
    def test_anything_can_be_asked_about_and_is_refused_without_an_error(self) -> None:
        """Proofs come from others: what is no proof is a proof that does not hold."""

        async def body(proved: Proved) -> None:
            good = proved.proofs[0]
            for odd in (
                with_proof(good, noise(HUGE)),
                with_proof(good, good.proof * 2),
                with_proof(good, good.proof, noise(HUGE)),
                Proof(public_input=b"", proof=b""),
            ):
                assert await proved.system.verify(odd) is False

        self.run(body)

    @level(Level.LOAD)
    def test_several_proofs_at_once_get_each_their_own_verdict(self) -> None:
        async def body(proved: Proved) -> None:
            first, second = proved.proofs[:2]
            asked = [(first, True), (with_proof(first, flipped(first.proof, 0)), False), (second, True)] * 4
            answers: list[bool | None] = [None] * len(asked)

            async def ask(turn: int, proof: Proof) -> None:
                answers[turn] = await proved.system.verify(proof)

            async with trio.open_nursery() as nursery:
                for turn, (proof, _) in enumerate(asked):
                    nursery.start_soon(ask, turn, proof)
            assert answers == [expected for _, expected in asked]

        self.run(body)
