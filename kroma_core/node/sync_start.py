"""From which L2 blocks a node goes on after a start or a reset.

Walks the L2 chain back from its unsafe head and keeps what rests on the canonical L1 chain. The safe head is taken back
by a whole sequencing window, because what is that old can no longer be changed by batches that the
L1 reorg moved; derivation then confirms the blocks above it again.

Spec: derivation.md, "Finding the Sync Starting Point".
"""

from __future__ import annotations

import attrs

from kroma_core.api import ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import is_far_enough
from kroma_core.errors import CriticalError, NotFound, ResetError
from kroma_core.l2 import L2Label, Payload
from kroma_core.types import BlockId, L1Number, L1Ref, L2Ref

MAX_REORG_SEQUENCING_WINDOWS = 5
"""A reorg of L1 that reaches further back than this many sequencing windows is refused."""


@attrs.frozen(kw_only=True)
class SyncStart:
    """The L2 blocks that still hold: the highest plausible one, the one derivation goes on from, and the final one."""

    unsafe: Payload
    safe: Payload
    finalized: Payload


async def find_sync_start(config: ChainConfig, l1: L1Source, engine: ExecutionEngine) -> SyncStart:
    """Find the heads that rest on the canonical L1 chain.

    Raises `CriticalError` when engine or L1 hold another chain, or when the reorg is deeper than
    `MAX_REORG_SEQUENCING_WINDOWS` windows; `ResetError` when the L1 that is shown contradicts a finalised block.
    """
    unsafe = await engine.block(L2Label.UNSAFE)
    safe_number = (await engine.block(L2Label.SAFE)).number
    finalized = await engine.block(L2Label.FINALIZED)
    first = await _walk_back(config, l1, engine, unsafe, safe_number, finalized)
    # op-node answers every reset with two of these walks, the second from the safe head that the first one found, so
    # that it goes back one epoch more. Where it begins decides with hostile data: a batch is judged by the safe head.
    return await _walk_back(config, l1, engine, unsafe, first.safe.number, finalized)


async def _walk_back(
    config: ChainConfig, l1: L1Source, engine: ExecutionEngine, unsafe: Payload, safe_number: int, finalized: Payload
) -> SyncStart:
    lookback = config.rollup.seq_window_size
    first = l2_ref(unsafe, config)
    block, ref = unsafe, first
    l1_block: L1Ref | None = None
    highest_canonical: L2Ref | None = None
    best_unsafe: Payload | None = unsafe
    while True:
        canonical = await _canonical_at(l1, ref.l1_origin, l1_block)
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
                    f"L1 reorg below what is final: L2 block {ref.id} is finalised, its L1 origin is {ref.l1_origin}, "
                    f"and L1 has 0x{canonical.hash.hex()} there"
                )
            return SyncStart(unsafe=best_unsafe or block, safe=block, finalized=finalized)
        ready = (
            ref.number <= safe_number
            and highest_canonical is not None
            and ref.l1_origin.number + lookback < highest_canonical.l1_origin.number
            and ref.sequence_number == 0
        )
        parent = await engine.block(block.parent_hash)
        parent_ref = l2_ref(parent, config)
        _check_link(parent_ref, ref)
        block, ref = parent, parent_ref
        if ready:
            return SyncStart(unsafe=best_unsafe or block, safe=block, finalized=finalized)


async def find_base(config: ChainConfig, engine: ExecutionEngine, safe: Payload) -> Payload:
    """The L2 block whose L1 origin is old enough to read every channel that may hold the successor of `safe`.

    Spec: derivation.md, "Resetting Channel Buffering".
    """
    safe_ref = l2_ref(safe, config)
    block = safe
    while not is_far_enough(l2_ref(block, config), safe_ref, config):
        block = await engine.block(block.parent_hash)
    return block


async def _canonical_at(l1: L1Source, origin: BlockId, known: L1Ref | None) -> L1Ref | None:
    """The canonical L1 block at the height of `origin`; None when L1 has not come that far (as far as we see)."""
    if known is not None and known.hash == origin.hash:
        return known
    try:
        if known is not None and known.parent_hash == origin.hash:
            return await l1.ref(origin.hash)
        return await l1.ref(L1Number(origin.number))
    except NotFound:
        return None


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
