"""Blobs as the beacon chain carries them: each with commitment, proof, and the way from its commitment to a block.

The beacon blocks themselves are not recorded. One is made up for each L1 block: it has the slot, the parent that the L1
header names, and a body of nothing but the commitments, so that everything in a sidecar checks out but the signature.
Spec: consensus-specs, deneb/p2p-interface.md, "BlobSidecar"; ssz/merkle-proofs.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import attrs

from kroma_core.types import Hash32

LIST_DEPTH: Final = 12
"""A body has room for 4096 commitments."""
BODY_DEPTH: Final = 4
COMMITMENTS_FIELD: Final = 11
"""The place of the commitments among a body's fields."""
_ZERO: Final = bytes(32)


@attrs.frozen(kw_only=True)
class SidecarBlob:
    """A blob of a block with what proves it; `index` counts all blobs of the block."""

    index: int
    blob: bytes = attrs.field(repr=False)
    commitment: bytes
    proof: bytes


@attrs.frozen(kw_only=True)
class BeaconHeader:
    """A beacon block's header."""

    slot: int
    parent_root: Hash32
    body_root: Hash32

    @property
    def root(self) -> Hash32:
        """The hash that names the block."""
        return _tree([_number(self.slot), _number(0), self.parent_root, _ZERO, self.body_root], 3)[-1][0]


@attrs.frozen(kw_only=True)
class CommitmentTree:
    """The commitments of a body, as its root covers them; None for a blob that is not known."""

    commitments: tuple[bytes | None, ...]

    @property
    def body_root(self) -> Hash32:
        return self._body()[-1][0]

    def proof(self, index: int) -> list[Hash32]:
        """The hashes beside the way from a commitment up to the body's root: 17 of them."""
        length = _number(len(self.commitments))
        return [*_siblings(self._list(), index), length, *_siblings(self._body(), COMMITMENTS_FIELD)]

    def _list(self) -> list[list[Hash32]]:
        leaves = [_ZERO if one is None else _hash(one.ljust(64, b"\0")) for one in self.commitments]
        return _tree(leaves, LIST_DEPTH)

    def _body(self) -> list[list[Hash32]]:
        fields = [_ZERO] * 16
        fields[COMMITMENTS_FIELD] = _hash(self._list()[-1][0] + _number(len(self.commitments)))
        return _tree(fields, BODY_DEPTH)


def _hash(data: bytes) -> Hash32:
    return hashlib.sha256(data).digest()


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little").ljust(32, b"\0")


def _tree(leaves: Sequence[Hash32], depth: int) -> list[list[Hash32]]:
    """All levels of a tree, leaves first; what is missing of a level is made of zero leaves."""
    levels, empty = [list(leaves)], _ZERO
    for _ in range(depth):
        level = levels[-1]
        if len(level) % 2:
            level = [*level, empty]
        empty = _hash(empty + empty)
        levels.append([_hash(level[at] + level[at + 1]) for at in range(0, len(level), 2)] or [empty])
    return levels


def _siblings(levels: Sequence[Sequence[Hash32]], index: int) -> list[Hash32]:
    found, empty = [], _ZERO
    for level in levels[:-1]:
        beside = index ^ 1
        found.append(level[beside] if beside < len(level) else empty)
        index, empty = index // 2, _hash(empty + empty)
    return found
