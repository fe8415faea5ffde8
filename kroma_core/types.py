"""Units and identities that every layer speaks: block numbers, times, amounts, and references to blocks.

Numbers of the two chains are different types on purpose: most derivation mistakes mix them up.
"""

from __future__ import annotations

from typing import NewType, TypeAlias

import attrs

Hash32: TypeAlias = bytes
"""32 bytes: a keccak hash, a root, or a word."""
Address: TypeAlias = bytes
"""20 bytes."""

L1Number = NewType("L1Number", int)
L2Number = NewType("L2Number", int)
Timestamp = NewType("Timestamp", int)
"""Seconds since the Unix epoch, as block headers have it (u64)."""
Seconds = NewType("Seconds", int)
Gas = NewType("Gas", int)
Wei = NewType("Wei", int)

ZERO_HASH: Hash32 = bytes(32)
ZERO_ADDRESS: Address = bytes(20)


@attrs.frozen
class BlockId:
    """A block of either chain, by hash and number."""

    hash: Hash32
    number: int

    def __str__(self) -> str:
        return f"{self.number} (0x{self.hash.hex()})"


@attrs.frozen(kw_only=True)
class L1Ref:
    """An L1 block as derivation refers to it."""

    hash: Hash32
    number: L1Number
    parent_hash: Hash32
    timestamp: Timestamp

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.number)


@attrs.frozen(kw_only=True)
class L2Ref:
    """An L2 block with its place in its epoch.

    `l1_origin` is the L1 block of the epoch, `sequence_number` the distance to the epoch's first L2 block.
    Spec: derivation.md, "Epoch".
    """

    hash: Hash32
    number: L2Number
    parent_hash: Hash32
    timestamp: Timestamp
    l1_origin: BlockId
    sequence_number: int

    @property
    def id(self) -> BlockId:
        return BlockId(self.hash, self.number)
