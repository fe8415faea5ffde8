"""What is proved in the suite of role `proof`, and what is done to the proofs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import trio

from kroma_core.api import Proof, ProofSystem
from kroma_core.codec.keccak import keccak256


@attrs.frozen
class Statement:
    """Something true: a public input, and the witness that proves it."""

    public_input: bytes
    witness: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Proved:
    """A system, the maker's statements, and a proof of each."""

    system: ProofSystem
    statements: Sequence[Statement]
    proofs: Sequence[Proof]


class AtStatements(ABC):
    """What a maker says of its proof system, and how the tests use it."""

    flips = 64
    """Bytes of a proof and of a public input that are changed, one at a time: all of those that have no more."""
    deterministic = False
    """Whether the same witness makes the same proof, byte for byte."""
    seconds = 600.0
    """After so long a test fails."""

    @abstractmethod
    def open_system(self, folder: Path) -> AbstractAsyncContextManager[ProofSystem]:
        """The proof system; `folder` is its own, and empty each time."""

    @abstractmethod
    def statements(self) -> Sequence[Statement]:
        """At least two, with different public inputs and witnesses; witnesses are not empty."""

    def run(self, body: Callable[[Proved], Awaitable[None]], *, prove: bool = True) -> None:
        async def main(folder: Path) -> None:
            with trio.fail_after(self.seconds):
                async with self.open_system(folder) as system:
                    statements = list(self.statements())
                    wanted = statements if prove else []
                    proofs = [await system.prove(one.public_input, one.witness) for one in wanted]
                    await body(Proved(system=system, statements=statements, proofs=proofs))

        with TemporaryDirectory() as folder:
            trio.run(main, Path(folder))


def with_proof(proof: Proof, other: bytes, public_input: bytes | None = None) -> Proof:
    """The same public input (or another one) with other bytes for its proof."""
    return Proof(public_input=proof.public_input if public_input is None else public_input, proof=other)


def flipped(data: bytes, place: int) -> bytes:
    """One bit of one byte is the other one: the lowest bit at even places, the highest at odd ones."""
    return data[:place] + bytes((data[place] ^ (0x80 if place % 2 else 0x01),)) + data[place + 1 :]


def places(size: int, most: int) -> list[int]:
    """At most so many places among `size`, the first and the last with them."""
    if size <= most:
        return list(range(size))
    return sorted({round(turn * (size - 1) / (most - 1)) for turn in range(most)})


def noise(size: int) -> bytes:
    """Bytes that mean nothing."""
    return b"".join(keccak256(b"noise" + index.to_bytes(4, "big")) for index in range(size // 32 + 1))[:size]
