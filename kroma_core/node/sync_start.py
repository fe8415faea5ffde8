"""From which L2 blocks a node goes on after a start or a reset.

Walks the L2 chain back from its unsafe head and keeps what rests on the canonical L1 chain. The safe head is taken back
by a whole sequencing window, because what is that old can no longer be changed by batches that the
L1 reorg moved; derivation then confirms the blocks above it again.

Spec: derivation.md, "Finding the Sync Starting Point".
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import is_far_enough
from kroma_core.errors import CriticalError, NotFound, ResetError
from kroma_core.events import Event, Searching
from kroma_core.l2 import L2Label, Payload
from kroma_core.node.checkpoint import ReadL1, ReadL2, Trusted
from kroma_core.types import BlockId, L1Number, L1Ref, L2Number, L2Ref

MAX_REORG_SEQUENCING_WINDOWS = 5
"""A reorg of L1 that reaches further back than this many sequencing windows is refused."""

UNFINALISED_SEQUENCING_WINDOWS = 14
"""An engine whose chain is longer than this, with nothing in it safe, has fetched that chain by itself."""

TOLD_EVERY = 1000
"""Blocks after which a search tells how far it is."""


@attrs.frozen(kw_only=True)
class SyncStart:
    """The L2 blocks that still hold: the highest plausible one, the one derivation goes on from, and the final one.

    `keeps_unsafe`: the first is the engine's own unsafe head.
    """

    unsafe: Payload
    safe: Payload
    finalized: Payload
    keeps_unsafe: bool = True


async def current_heads(l2: ReadL2, config: ChainConfig) -> SyncStart:
    """The engine's own heads. What it has never been told is genesis, or the finalised head."""
    unsafe = await l2(L2Label.UNSAFE)
    try:
        finalized = await l2(L2Label.FINALIZED)
    except NotFound:
        finalized = await _genesis(l2, config)
    try:
        safe = await l2(L2Label.SAFE)
    except NotFound:
        safe = finalized
    return SyncStart(unsafe=unsafe, safe=safe, finalized=finalized)


async def _genesis(l2: ReadL2, config: ChainConfig) -> Payload:
    genesis = config.rollup.genesis.l2
    try:
        return await l2(genesis.hash)
    except NotFound as error:
        raise CriticalError(
            f"the engine holds another chain: it has no block {genesis}, the rollup's genesis"
        ) from error


async def _parent(l2: ReadL2, block: Payload) -> Payload:
    try:
        return await l2(block.parent_hash)
    except NotFound as error:
        raise ResetError(f"the engine lacks the parent of its L2 block {block.id}: {error}") from error


async def find_sync_start(
    config: ChainConfig, l1: ReadL1, l2: ReadL2, emit: Callable[[Event], None], trusted: Trusted | None = None
) -> SyncStart:
    """Find the heads that rest on the canonical L1 chain; observers are told when it takes long.

    Bounded by the finalised block, by a sequencing window below the safe one, and by a trusted block: what is up to
    that is never derived again. Raises `CriticalError` when engine or
    L1 hold another chain, or when the reorg is deeper than `MAX_REORG_SEQUENCING_WINDOWS` windows; `ResetError` when
    the L1 that is shown contradicts a finalised block.
    """
    heads = await current_heads(l2, config)
    if trusted is not None:
        heads = await _not_below(heads, trusted, l2)
    if _synced_by_itself(heads, config) or heads.unsafe.number < max(heads.safe.number, heads.finalized.number):
        # Its chain was cut, or fetched, without our doing: what it has is where to go on, as op-node does.
        return SyncStart(unsafe=heads.unsafe, safe=heads.unsafe, finalized=heads.unsafe)
    return await _Walk(config, l1, l2, emit, heads, trusted.block if trusted is not None else None).back()


async def _not_below(heads: SyncStart, trusted: Trusted, l2: ReadL2) -> SyncStart:
    """The engine's heads, none of them below a trusted block or beside it; finality only as far as it is sure."""
    block, unsafe, safe, finalized = trusted.block, heads.unsafe, heads.safe, heads.finalized
    keeps_unsafe = unsafe.number >= block.number and (await l2(L2Number(block.number))).hash == block.hash
    return SyncStart(
        unsafe=unsafe if keeps_unsafe else block,
        safe=block if safe.number < block.number else safe,
        finalized=block if trusted.final and finalized.number < block.number else finalized,
        keeps_unsafe=keeps_unsafe,
    )


def _synced_by_itself(heads: SyncStart, config: ChainConfig) -> bool:
    genesis = config.rollup.genesis
    if heads.finalized.number > genesis.l2.number or heads.safe.number > genesis.l2.number:
        return False
    origin = l2_ref(heads.unsafe, config).l1_origin.number
    return origin > genesis.l1.number + UNFINALISED_SEQUENCING_WINDOWS * config.rollup.seq_window_size


@attrs.frozen
class _Walk:
    """Walks back over the engine's chain, and over L1 beside it."""

    config: ChainConfig
    l1: ReadL1
    l2: ReadL2
    emit: Callable[[Event], None]
    heads: SyncStart
    trusted: Payload | None

    async def back(self) -> SyncStart:
        """Find the heads.

        op-node answers every reset with two of these walks, the second from the safe head that the first one found, so
        that it goes back one epoch more. Where it begins decides with hostile data: a batch is judged by the safe head.
        The second would go the way of the first, so this goes on where that ends.
        """
        config, finalized = self.config, self.heads.finalized
        safe_number, again = self.heads.safe.number, True
        lookback = config.rollup.seq_window_size
        block = self.heads.unsafe
        ref = first = l2_ref(block, config)
        l1_block: L1Ref | None = None
        highest_canonical: L2Ref | None = None
        best_unsafe: Payload | None = block
        while True:
            canonical = await self._canonical_at(ref.l1_origin, l1_block)
            l1_block = canonical if canonical is not None else l1_block
            _check_identity(config, ref, finalized, canonical)
            if best_unsafe is None:
                best_unsafe = block
                if ref.l1_origin.number + MAX_REORG_SEQUENCING_WINDOWS * lookback < first.l1_origin.number:
                    raise CriticalError(
                        f"L1 reorg reaches back past L2 block {ref.id}, below the unsafe head {first.id} by more than "
                        f"{MAX_REORG_SEQUENCING_WINDOWS} sequencing windows of {lookback} L1 blocks"
                    )
            if canonical is None:
                highest_canonical = None  # L1 has not come that far: nothing contradicts the block
            elif canonical.hash == ref.l1_origin.hash:
                highest_canonical = highest_canonical or ref
            else:
                best_unsafe, highest_canonical = None, None
            if ref.number == finalized.number:
                if canonical is not None and canonical.hash != ref.l1_origin.hash:
                    raise ResetError(
                        f"L1 reorg below what is final: L2 block {ref.id} is finalised, its L1 origin is "
                        f"{ref.l1_origin}, and L1 has 0x{canonical.hash.hex()} there"
                    )
                return self._found(best_unsafe or block, block)
            if self.trusted is not None and ref.number == self.trusted.number:
                _check_trusted(ref, self.trusted, canonical)
                return self._found(best_unsafe or block, block)
            ready = (
                ref.number <= safe_number
                and highest_canonical is not None
                and ref.l1_origin.number + lookback < highest_canonical.l1_origin.number
                and ref.sequence_number == 0
            )
            parent = await _parent(self.l2, block)
            parent_ref = l2_ref(parent, config)
            _check_link(parent_ref, ref)
            block, ref = parent, parent_ref
            self._tell(ref, first)
            if ready and not again:
                return self._found(best_unsafe or block, block)
            if ready:
                safe_number, again = block.number, False

    def _found(self, unsafe: Payload, safe: Payload) -> SyncStart:
        keeps_unsafe = self.heads.keeps_unsafe and unsafe.hash == self.heads.unsafe.hash
        return SyncStart(unsafe=unsafe, safe=safe, finalized=self.heads.finalized, keeps_unsafe=keeps_unsafe)

    def _tell(self, ref: L2Ref, first: L2Ref) -> None:
        if ref.number < first.number and (first.number - ref.number) % TOLD_EVERY == 0:
            towards = self.heads.finalized.number
            self.emit(Searching(part="driver", what="L2 blocks that rest on L1", at=ref.number, towards=towards))

    async def _canonical_at(self, origin: BlockId, known: L1Ref | None) -> L1Ref | None:
        """The canonical L1 block at the height of `origin`; None when L1 has not come that far (as far as we see)."""
        if known is not None and known.hash == origin.hash:
            return known
        try:
            if known is not None and known.parent_hash == origin.hash:
                return await self.l1(origin.hash)
            return await self.l1(L1Number(origin.number))
        except NotFound:
            return None


async def find_base(config: ChainConfig, l2: ReadL2, safe: Payload) -> Payload:
    """The L2 block whose L1 origin is old enough to read every channel that may hold the successor of `safe`.

    Spec: derivation.md, "Resetting Channel Buffering".
    """
    safe_ref = l2_ref(safe, config)
    block = safe
    while not is_far_enough(l2_ref(block, config), safe_ref, config):
        block = await _parent(l2, block)
    return block


def _check_identity(config: ChainConfig, ref: L2Ref, finalized: Payload, canonical: L1Ref | None) -> None:
    genesis = config.rollup.genesis
    if ref.number == genesis.l2.number and canonical is not None and canonical.hash != genesis.l1.hash:
        raise CriticalError(
            f"the L1 is another chain: its block {canonical.number} is 0x{canonical.hash.hex()}, "
            f"the rollup begins at 0x{genesis.l1.hash.hex()}"
        )
    if ref.number == genesis.l2.number and ref.hash != genesis.l2.hash:
        raise CriticalError(
            f"the engine holds another chain: its block {ref.number} is 0x{ref.hash.hex()}, "
            f"the rollup's genesis is 0x{genesis.l2.hash.hex()}"
        )
    if ref.number == finalized.number and ref.hash != finalized.hash:
        raise CriticalError(
            f"the finalised L2 block 0x{finalized.hash.hex()} is not on the engine's chain, which has {ref.id} there"
        )


def _check_trusted(ref: L2Ref, trusted: Payload, canonical: L1Ref | None) -> None:
    if ref.hash != trusted.hash:
        raise ResetError(
            f"the checkpoint 0x{trusted.hash.hex()} is not on the engine's chain, which has {ref.id} there"
        )
    if canonical is not None and canonical.hash != ref.l1_origin.hash:
        raise ResetError(
            f"L1 reorg below what is trusted: L2 block {ref.id} is the checkpoint, its L1 origin is {ref.l1_origin}, "
            f"and L1 has 0x{canonical.hash.hex()} there"
        )


def _check_link(parent: L2Ref, child: L2Ref) -> None:
    if parent.l1_origin == child.l1_origin:
        good = parent.sequence_number + 1 == child.sequence_number
    else:
        good = parent.l1_origin.number + 1 == child.l1_origin.number and child.sequence_number == 0
    if not good:
        raise CriticalError(
            f"the engine's L2 chain is inconsistent: block {child.id} has L1 origin {child.l1_origin} and sequence "
            f"number {child.sequence_number}, its parent has {parent.l1_origin} and {parent.sequence_number}"
        )
