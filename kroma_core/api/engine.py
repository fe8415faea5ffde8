"""Role `engine`: executes L2 blocks and keeps the L2 chain.

In rollup terms, not in those of an RPC: the Engine API is one way to reach an engine. Results are values; an exception
means that the engine did not answer (`TemporaryError`) or is broken (`CriticalError`).
Spec: exec-engine.md, "Engine API".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from kroma_core.l2 import ForkchoiceState, L2Label, Payload, PayloadAttributes
from kroma_core.types import Address, Hash32, L2Number


@attrs.frozen(kw_only=True)
class Building:
    """A block under construction. `id` is the engine's own name for it."""

    id: bytes
    parent: Hash32


@attrs.frozen(kw_only=True)
class Sealed:
    """A finished block. It is not executed into the chain until `execute` has accepted it."""

    payload: Payload
    value: int = 0
    """Wei that its transactions pay as tips; 0 where the engine does not know."""


@attrs.frozen(kw_only=True)
class Valid:
    """The block was executed and every field agreed."""


@attrs.frozen(kw_only=True)
class Invalid:
    """The attributes or the block break a rule; trying again will not help.

    `latest_valid` is the last good ancestor.
    """

    reason: str
    latest_valid: Hash32 | None = None


@attrs.frozen(kw_only=True)
class Syncing:
    """The engine lacks an ancestor and fetches it by itself."""


@attrs.frozen(kw_only=True)
class Gone:
    """The block under construction is unknown (any more)."""


@attrs.frozen(kw_only=True)
class Applied:
    """The heads are as asked."""


@attrs.frozen(kw_only=True)
class Inconsistent:
    """The heads asked for contradict each other or a finalised block."""

    reason: str


@attrs.frozen(kw_only=True)
class AccountProof:
    """Merkle proof of an account and some of its storage, nodes from the root down."""

    address: Address
    nonce: int
    balance: int
    code_hash: Hash32
    storage_root: Hash32
    account_proof: tuple[bytes, ...]
    storage: tuple[tuple[Hash32, int, tuple[bytes, ...]], ...]


class ExecutionEngine(Protocol):
    """What every engine can do. Several calls may not run at the same time: core's engine controller is the one writer.

    Cancellation of a call either has its whole effect or none.
    """

    async def heads(self) -> ForkchoiceState:
        """The heads as the engine keeps them; on a fresh engine all three are genesis."""
        ...

    async def block(self, block: Hash32 | L2Number | L2Label) -> Payload:
        """A block by hash, by number on the canonical chain, or by label. Raises `NotFound`."""
        ...

    async def receipts(self, block_hash: Hash32) -> tuple[bytes, ...]:
        """Consensus encodings of the receipts, as they enter the receipts root. Raises `NotFound`."""
        ...

    async def build(
        self, parent: Hash32, attributes: PayloadAttributes, heads: ForkchoiceState
    ) -> Building | Invalid | Syncing:
        """Begin a block on `parent`. May move the unsafe head to `parent`.

        Attributes whose forced transactions cannot all be included are `Invalid`, here or in `seal`.
        """
        ...

    async def seal(self, building: Building) -> Sealed | Invalid | Gone:
        """Finish a block."""
        ...

    async def cancel(self, building: Building) -> None:
        """Drop a block under construction; unknown ones are ignored."""
        ...

    async def execute(self, payload: Payload) -> Valid | Invalid | Syncing:
        """Execute a block and store it. It becomes part of the chain with `set_heads`."""
        ...

    async def set_heads(self, heads: ForkchoiceState) -> Applied | Syncing | Inconsistent:
        """Move the heads. To an ancestor it may be a no-op for the unsafe head: roll back by building on the parent."""
        ...

    async def proof(self, address: Address, slots: Sequence[Hash32], block_hash: Hash32) -> AccountProof:
        """Proof of an account and of storage slots in the state after a block. Raises `NotFound`."""
        ...

    async def storage_root(self, address: Address, block_hash: Hash32) -> Hash32:
        """An account's storage root after a block; the empty root for an absent account. Raises `NotFound`."""
        ...
