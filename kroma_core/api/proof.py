"""Role `proof` (provisional): proves the execution of an L2 block, and verifies such proofs."""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class Proof:
    """A proof and the public input it is for; the form of both is the proof system's own."""

    public_input: bytes
    proof: bytes = attrs.field(repr=False)


class ProofSystem(Protocol):
    """Makes and checks proofs. A verifier that accepts a mutated proof fails the conformance suite."""

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        """Prove `public_input` with `witness`. Raises `TemporaryError` when the prover does not answer.

        A witness of something else is refused with a `CriticalError` or a `DecodeError`, which nobody tries again, or
        makes a proof that does not verify.
        """
        ...

    async def verify(self, proof: Proof) -> bool:
        """Whether `proof` holds for its public input.

        Bytes that are no proof do not hold: proofs come from others, and none is an error.
        """
        ...
