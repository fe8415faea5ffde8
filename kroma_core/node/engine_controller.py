"""The one writer to the execution engine: keeps the node's heads and turns attributes into blocks.

Spec: derivation.md, "Engine Queue"; "L1-consolidation: payload attributes matching".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from kroma_core.api import Building, ExecutionEngine, Gone, Inconsistent, Invalid, Sealed, Syncing
from kroma_core.chain.base_fee import attribute_params_match
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.steps import Derived
from kroma_core.errors import CriticalError, NotFound, ResetError, TemporaryError
from kroma_core.l2 import ForkchoiceState, Heads, Payload, PayloadAttributes
from kroma_core.node.sync_start import SyncStart
from kroma_core.types import L2Number, L2Ref


@attrs.frozen(kw_only=True)
class Confirmed:
    """The attributes are a block of the engine's chain now."""

    payload: Payload
    ref: L2Ref
    consolidated: bool
    """The engine had the block already (as an unsafe one)."""


@attrs.frozen(kw_only=True)
class Rejected:
    """The engine refuses a block with these attributes."""

    reason: str


Result: TypeAlias = Confirmed | Rejected


@attrs.define
class EngineController:
    """All engine writes of the node. One caller at a time."""

    engine: ExecutionEngine
    config: ChainConfig
    heads: Heads
    on_heads: Callable[[Heads], None] = lambda heads: None

    @classmethod
    async def started(cls, engine: ExecutionEngine, config: ChainConfig, start: SyncStart) -> EngineController:
        """A controller whose heads are those found by the sync start, told to the engine."""
        unsafe, safe, finalized = (l2_ref(block, config) for block in (start.unsafe, start.safe, start.finalized))
        heads = Heads(
            unsafe=unsafe, cross_unsafe=unsafe, local_safe=safe, pending_safe=safe, safe=safe, finalized=finalized
        )
        controller = cls(engine, config, heads)
        await controller._apply(heads)
        return controller

    async def include(self, derived: Derived) -> Result:
        """Make the derived attributes part of the safe chain: confirm the block that is there, or build it.

        Raises `ResetError` when the attributes do not continue the pending safe head, `TemporaryError` when the engine
        is not ready.
        """
        parent = self.heads.pending_safe
        if derived.parent.hash != parent.hash:
            raise ResetError(f"attributes continue {derived.parent.id}, but the pending safe head is {parent.id}")
        existing = await self._existing_child(parent)
        if existing is not None and mismatch(derived.attributes, existing, parent, self.config) is None:
            return await self._advance(existing, derived, consolidated=True)
        return await self._build(derived, parent)

    async def give_back_pending(self) -> None:
        """Return the pending safe head to the safe head: the rest of a span batch was dropped."""
        await self._apply(attrs.evolve(self.heads, pending_safe=self.heads.local_safe))

    async def finalize(self, ref: L2Ref) -> None:
        """Raise the finalised head to a safe block."""
        if ref.number > self.heads.finalized.number:
            await self._apply(attrs.evolve(self.heads, finalized=ref))

    async def _existing_child(self, parent: L2Ref) -> Payload | None:
        if self.heads.unsafe.number <= parent.number:
            return None
        try:
            child = await self.engine.block(L2Number(parent.number + 1))
        except NotFound:
            return None
        return child if child.parent_hash == parent.hash else None

    async def _build(self, derived: Derived, parent: L2Ref) -> Result:
        base = ForkchoiceState(unsafe=parent.hash, safe=self.heads.safe.hash, finalized=self.heads.finalized.hash)
        match await self.engine.build(parent.hash, derived.attributes, base):
            case Invalid(reason=reason):
                return Rejected(reason=reason)
            case Syncing():
                raise TemporaryError(f"build on L2 block {parent.id}: the engine is still syncing")
            case Building() as building:
                sealed = await self.engine.seal(building)
        match sealed:
            case Invalid(reason=reason):
                return Rejected(reason=reason)
            case Gone():
                raise TemporaryError(f"seal a block on {parent.id}: the engine has forgotten it")
            case Sealed(payload=payload):
                result = await self.engine.execute(payload)
        if isinstance(result, Invalid):
            return Rejected(reason=result.reason)
        if isinstance(result, Syncing):
            raise TemporaryError(f"execute L2 block {payload.id}: the engine is still syncing")
        return await self._advance(payload, derived, consolidated=False)

    async def _advance(self, payload: Payload, derived: Derived, *, consolidated: bool) -> Confirmed:
        ref = l2_ref(payload, self.config)
        heads = attrs.evolve(self.heads, pending_safe=ref)
        if not consolidated:
            heads = attrs.evolve(heads, unsafe=ref, cross_unsafe=ref)
        if derived.concludes:
            heads = attrs.evolve(heads, local_safe=ref, safe=ref)
        await self._apply(heads)
        return Confirmed(payload=payload, ref=ref, consolidated=consolidated)

    async def _apply(self, heads: Heads) -> None:
        if heads.forkchoice != self.heads.forkchoice or heads is self.heads:
            match await self.engine.set_heads(heads.forkchoice):
                case Syncing():
                    raise TemporaryError(f"set the head to L2 block {heads.unsafe.id}: the engine is still syncing")
                case Inconsistent(reason=reason):
                    raise CriticalError(f"set the heads to {heads.unsafe.id}, safe {heads.safe.id}: {reason}")
                case _:
                    pass
        self.heads = heads
        self.on_heads(heads)


def mismatch(attributes: PayloadAttributes, block: Payload, parent: L2Ref, config: ChainConfig) -> str | None:
    """The first field in which `block` is not what `attributes` on `parent` would give; None when it is."""
    pairs = (
        ("parentHash", parent.hash, block.parent_hash),
        ("timestamp", attributes.timestamp, block.timestamp),
        ("prevRandao", attributes.prev_randao, block.prev_randao),
        ("suggestedFeeRecipient", attributes.fee_recipient, block.fee_recipient),
        ("gasLimit", attributes.gas_limit, block.gas_limit),
        ("withdrawals", attributes.withdrawals, block.withdrawals),
        ("parentBeaconBlockRoot", attributes.parent_beacon_root, block.parent_beacon_root),
        ("transactions", attributes.transactions, block.transactions),
    )
    for name, expected, got in pairs:
        if expected != got:
            return name
    if not attribute_params_match(attributes, block.extra_data, config.rollup):
        return "eip1559Params"
    return None
