"""Output roots: what a chain's state after a block commits to on L1, and super roots over those of several chains.

Spec: proposals.md, "L2 Output Commitment Construction"; interop/superroot.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from kroma_core.codec.keccak import keccak256
from kroma_core.errors import DecodeError
from kroma_core.types import Hash32, Timestamp

_VERSION_0: Final = bytes(32)
_SUPER_VERSION: Final = b"\x01"


@attrs.frozen(kw_only=True)
class Output:
    """Version 0 of the OP Stack, and Kroma's from its change to Merkle-Patricia state on."""

    state_root: Hash32
    message_passer_storage_root: Hash32
    block_hash: Hash32

    def encode(self) -> bytes:
        """The preimage of the output root: 128 bytes."""
        return _VERSION_0 + self.state_root + self.message_passer_storage_root + self.block_hash

    @property
    def root(self) -> Hash32:
        return keccak256(self.encode())


@attrs.frozen(kw_only=True)
class KromaOutput:
    """Kroma's output in its ZK-trie era, which also names the next block: a proof runs from one to the other."""

    state_root: Hash32
    message_passer_storage_root: Hash32
    block_hash: Hash32
    next_block_hash: Hash32

    def encode(self) -> bytes:
        """The preimage of the output root: 160 bytes."""
        return _VERSION_0 + self.state_root + self.message_passer_storage_root + self.block_hash + self.next_block_hash

    @property
    def root(self) -> Hash32:
        return keccak256(self.encode())


def decode_output(data: bytes) -> Output:
    """An output from its preimage. Raises `DecodeError` for another size or version."""
    if len(data) != 128:
        raise DecodeError(f"output: expected 128 bytes, got {len(data)}")
    if data[:32] != _VERSION_0:
        raise DecodeError(f"output: expected version 0, got 0x{data[:32].hex()}")
    return Output(state_root=data[32:64], message_passer_storage_root=data[64:96], block_hash=data[96:])


@attrs.frozen
class ChainOutput:
    """The output root of one chain of a dependency set."""

    chain_id: int
    output_root: Hash32


@attrs.frozen
class SuperOutput:
    """The output roots of all chains of a dependency set at one time, ascending by chain id."""

    timestamp: Timestamp
    chains: tuple[ChainOutput, ...]

    @classmethod
    def of(cls, timestamp: Timestamp, chains: Iterable[ChainOutput]) -> SuperOutput:
        """The chains may come in any order."""
        return cls(timestamp, tuple(sorted(chains, key=lambda chain: chain.chain_id)))

    def encode(self) -> bytes:
        """The preimage of the super root: version 1, the time, then chain id and root of each chain."""
        parts = [_SUPER_VERSION, self.timestamp.to_bytes(8, "big")]
        for chain in self.chains:
            parts += [chain.chain_id.to_bytes(32, "big"), chain.output_root]
        return b"".join(parts)

    @property
    def root(self) -> Hash32:
        return keccak256(self.encode())


def decode_super_output(data: bytes) -> SuperOutput:
    """A super output from its preimage. Raises `DecodeError`."""
    if data[:1] != _SUPER_VERSION:
        raise DecodeError(f"super output: expected version 1, got 0x{data[:1].hex()}")
    if len(data) <= 9 or (len(data) - 9) % 64:
        raise DecodeError(f"super output: {len(data)} bytes hold no whole number of chains")
    chains = [
        ChainOutput(int.from_bytes(data[pos : pos + 32], "big"), data[pos + 32 : pos + 64])
        for pos in range(9, len(data), 64)
    ]
    return SuperOutput(Timestamp(int.from_bytes(data[1:9], "big")), tuple(chains))
