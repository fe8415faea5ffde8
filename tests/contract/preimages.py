"""A proof system that is right and small: what is proved of a hash is that its preimage is known."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from kroma_core.api import Proof
from kroma_core.codec.keccak import keccak256
from kroma_core.errors import CriticalError
from kroma_core.testing.proof_statements import Statement

WITNESSES = (b"the first of the two witnesses, of some length", b"the second one, of the same length as the first")


class Preimages:
    """The public input is a hash, the witness its preimage, and so is the proof."""

    async def prove(self, public_input: bytes, witness: bytes) -> Proof:
        await trio.lowlevel.checkpoint()
        if keccak256(witness) != public_input:
            raise CriticalError(f"prove {public_input.hex()}: the witness has hash {keccak256(witness).hex()}")
        return Proof(public_input=public_input, proof=witness)

    async def verify(self, proof: Proof) -> bool:
        await trio.lowlevel.checkpoint()
        return keccak256(proof.proof) == proof.public_input


def statements() -> Sequence[Statement]:
    return [Statement(keccak256(witness), witness) for witness in WITNESSES]
