"""The one writer to the execution engine: keeps the node's heads and turns attributes and payloads into blocks.

Derivation, unsafe payloads and finality ask it; one at a time has its turn, and a turn lasts until a block is part of
the chain or is not. Spec: derivation.md, "Engine Queue"; "L1-consolidation: payload attributes matching".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import attrs
import trio

from kroma_core.api import Building, ExecutionEngine, Gone, Inconsistent, Invalid, Sealed, Syncing, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.steps import Derived
from kroma_core.errors import EngineSyncing, NotFound, ResetError, TemporaryError
from kroma_core.l2 import ForkchoiceState, Heads, Payload
from kroma_core.node.matching import check_built, mismatch
from kroma_core.node.sync_start import SyncStart, current_heads
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
    """All engine writes of the node. Every method waits for its turn.

    `heads` are what the node holds for true; the engine may lag behind them while an answer is awaited. All methods
    raise `TemporaryError` when the engine is not ready, and `ResetError` when it has lost what the heads rest on or
    calls them contradictory. Cancelled at any point they leave an engine that `restart` brings in order.
    """

    engine: ExecutionEngine
    config: ChainConfig
    heads: Heads
    on_heads: Callable[[Heads], None] = lambda heads: None
    backup_unsafe: L2Ref | None = None
    """The unsafe head that derived blocks have replaced; it comes back if their span batch turns out to be invalid."""
    _told: ForkchoiceState | None = attrs.field(default=None, init=False)
    """What the engine was told last; None where it may have moved its head since."""
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @classmethod
    async def resumed(cls, engine: ExecutionEngine, config: ChainConfig) -> EngineController:
        """A controller whose heads are those that the engine keeps, whatever L1 says."""
        start = await current_heads(engine.block, config)
        return cls(engine, config, heads_of(start, config))

    @classmethod
    async def started(cls, engine: ExecutionEngine, config: ChainConfig, start: SyncStart) -> EngineController:
        """A controller whose heads are those found by the sync start, told to the engine."""
        controller = cls(engine, config, heads_of(start, config))
        await controller.restart(start, controller.heads)
        return controller

    async def restart(self, start: SyncStart, before: Heads) -> None:
        """Take the heads that the sync start found, and tell the engine. `before`: the heads as it began.

        Where it left the unsafe head alone, blocks that were added to it meanwhile stay.
        """
        async with self._turn:
            heads = heads_of(start, self.config)
            unsafe = self.heads.unsafe
            if start.keeps_unsafe and unsafe != before.unsafe and unsafe.number > heads.unsafe.number:
                heads = attrs.evolve(heads, unsafe=unsafe, cross_unsafe=unsafe)
            self.backup_unsafe = None
            await self._tell(heads)

    async def include(self, derived: Derived) -> Result:
        """Make the derived attributes part of the safe chain: confirm the block that is there, or build it.

        Raises `ResetError` also when the attributes do not continue the pending safe head, `CriticalError` when the
        engine makes another block than it was asked for.
        """
        async with self._turn:
            parent = self.heads.pending_safe
            if derived.parent.hash != parent.hash:
                raise ResetError(f"attributes continue {derived.parent.id}, but the pending safe head is {parent.id}")
            existing = await self._existing_child(parent)
            if existing is not None and mismatch(derived.attributes, existing, parent, self.config) is None:
                return await self._advance(existing, derived, consolidated=True)
            return await self._build(derived, parent)

    async def drop_pending(self) -> None:
        """The rest of a span batch was dropped: pending safe goes back to safe, and unsafe to what it replaced."""
        async with self._turn:
            heads = attrs.evolve(self.heads, pending_safe=self.heads.local_safe)
            backup = self.backup_unsafe
            if backup is not None and await self._has(backup):
                heads = attrs.evolve(heads, unsafe=backup, cross_unsafe=backup)
            await self._tell(heads)
            self.backup_unsafe = None

    async def settle(self) -> None:
        """Tell the engine the heads if it lags behind: blocks that it had already became safe without a word to it."""
        if self._told != self.heads.forkchoice:
            async with self._turn:
                await self._tell(self.heads)

    async def finalize(self, ref: L2Ref) -> bool:
        """Raise the finalised head to a block, if it is a safe one; whether it moved."""
        async with self._turn:
            if not self.heads.finalized.number < ref.number <= self.heads.safe.number:
                return False
            if not await self._is_canonical(ref):
                return False  # the chain has changed while this waited for its turn
            await self._tell(attrs.evolve(self.heads, finalized=ref))
            return True

    async def extend_unsafe(self, payload: Payload, ref: L2Ref) -> Valid | Invalid | Syncing | None:
        """Put a block on the unsafe head; None where it does not belong there (any more)."""
        async with self._turn:
            if payload.parent_hash != self.heads.unsafe.hash:
                return None
            result = await self.engine.execute(payload)
            if isinstance(result, Valid):
                await self._tell(attrs.evolve(self.heads, unsafe=ref, cross_unsafe=ref))
            elif isinstance(result, Syncing):
                await self._expect(self.heads.unsafe, f"execute L2 block {payload.id}")
            return result

    async def offer(self, payload: Payload, ref: L2Ref) -> Valid | Invalid | Syncing:
        """Show the engine a block far ahead, so that it fetches what lies between by itself.

        `Valid` where it has done so: then it is the unsafe head. The other heads stay.
        """
        async with self._turn:
            result = await self.engine.execute(payload)
            if isinstance(result, Invalid):
                return result
            heads = attrs.evolve(self.heads, unsafe=ref, cross_unsafe=ref)
            match await self.engine.set_heads(heads.forkchoice):
                case Syncing():
                    return Syncing()
                case Inconsistent(reason=reason):
                    return Invalid(reason=reason)
                case _:
                    self._told = heads.forkchoice
                    self._note(heads)
                    return Valid()

    async def trust_unsafe(self) -> None:
        """Take the unsafe head for safe and final: the engine has synced up to it by itself."""
        async with self._turn:
            await self._tell(Heads.all_at(self.heads.unsafe))

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
        self._told = None
        match await self.engine.build(parent.hash, derived.attributes, base):
            case Invalid(reason=reason):
                return Rejected(reason=reason)
            case Syncing():
                await self._not_ready(f"build on L2 block {parent.id}", parent)
            case Building() as building:
                sealed = await self.engine.seal(building)
        match sealed:
            case Invalid(reason=reason):
                return Rejected(reason=reason)
            case Gone():
                raise TemporaryError(f"seal a block on {parent.id}: the engine has forgotten it")
            case Sealed(payload=payload):
                check_built(payload, derived.attributes, parent, self.config)
                result = await self.engine.execute(payload)
        if isinstance(result, Invalid):
            return Rejected(reason=result.reason)
        if isinstance(result, Syncing):
            await self._not_ready(f"execute L2 block {payload.id}", parent)
        return await self._advance(payload, derived, consolidated=False)

    async def _advance(self, payload: Payload, derived: Derived, *, consolidated: bool) -> Confirmed:
        ref = l2_ref(payload, self.config)
        heads = attrs.evolve(self.heads, pending_safe=ref)
        replaced = None
        if not consolidated:
            replaced = self.heads.unsafe if self.heads.unsafe.number >= ref.number else None
            heads = attrs.evolve(heads, unsafe=ref, cross_unsafe=ref)
        if derived.concludes:
            heads = attrs.evolve(heads, local_safe=ref, safe=ref)
        if consolidated:
            self._note(heads)
        else:
            await self._tell(heads)
        self.backup_unsafe = replaced or self.backup_unsafe
        if heads.unsafe == heads.safe == heads.pending_safe:
            self.backup_unsafe = None
        return Confirmed(payload=payload, ref=ref, consolidated=consolidated)

    async def _tell(self, heads: Heads) -> None:
        """Make these the heads, in the engine first."""
        match await self.engine.set_heads(heads.forkchoice):
            case Syncing():
                await self._not_ready(f"set the head to L2 block {heads.unsafe.id}", heads.unsafe)
            case Inconsistent(reason=reason):
                raise ResetError(f"set the heads to {heads.unsafe.id}, safe {heads.safe.id}: {reason}")
            case _:
                self._told = heads.forkchoice
                self._note(heads)

    def _note(self, heads: Heads) -> None:
        self.heads = heads
        self.on_heads(heads)

    async def _not_ready(self, attempt: str, needed: L2Ref) -> NoReturn:
        """The engine says that it is syncing: it will be ready, unless it lacks what the attempt rests on."""
        await self._expect(needed, attempt)
        raise EngineSyncing(f"{attempt}: the engine is still syncing")

    async def _expect(self, needed: L2Ref, attempt: str) -> None:
        if not await self._has(needed):
            raise ResetError(f"{attempt}: the engine no longer has L2 block {needed.id}")

    async def _is_canonical(self, block: L2Ref) -> bool:
        try:
            return (await self.engine.block(L2Number(block.number))).hash == block.hash
        except NotFound:
            return False

    async def _has(self, block: L2Ref) -> bool:
        try:
            await self.engine.block(block.hash)
        except NotFound:
            return False
        return True


def heads_of(start: SyncStart, config: ChainConfig) -> Heads:
    """The node's heads where a sync start has found the engine's."""
    unsafe, safe, finalized = (l2_ref(block, config) for block in (start.unsafe, start.safe, start.finalized))
    return Heads(unsafe=unsafe, cross_unsafe=unsafe, local_safe=safe, pending_safe=safe, safe=safe, finalized=finalized)
