"""Drives derivation: does the I/O that the machine asks for and hands its attributes to the engine.

One L1 head at a time: derive until nothing more follows from it, then take the next. An L1 reorg shows when the next
block by number does not link to the last one; then a new machine is made from the safe block that still holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import attrs
import trio

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.attributes import needs_receipts
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.derive.pipeline import Derivation
from kroma_core.derive.steps import Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.errors import CriticalError, NotFound, ResetError
from kroma_core.events import BlockDerived, Event, HeadsMoved, PipelineReset, Retrying
from kroma_core.l1 import L1Heads, L1Label, L1Receipts
from kroma_core.l2 import Heads
from kroma_core.node.engine_controller import Confirmed, EngineController
from kroma_core.node.finality import Finality
from kroma_core.node.inbox_reader import read_inputs
from kroma_core.node.retry import RetryPolicy, retrying
from kroma_core.node.sync_start import find_base, find_sync_start
from kroma_core.types import L1Number, L1Ref

T = TypeVar("T")
OnDerived = Callable[[Derived, Confirmed], None]

_NOWHERE = (-1, -1)


@attrs.define(kw_only=True)
class Driver:
    """Follows L1 with one derivation machine and one engine.

    `resets_without_progress`: how often derivation may begin anew on the same L1 head without coming further than
    before; None means without end (a live node waits and tries again). `on_derived` is told of every block, before
    observers are.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    emit: Callable[[Event], None]
    policy: RetryPolicy = RetryPolicy()
    resets_without_progress: int | None = None
    on_derived: OnDerived = lambda derived, confirmed: None
    _machine: Derivation | None = None
    _controller: EngineController | None = None
    _finality: Finality = attrs.field(factory=Finality)
    _reason: str = "start"
    """Why derivation begins anew the next time."""
    _fruitless_resets: int = 0
    _furthest: tuple[int, int] = _NOWHERE
    """How far derivation came before the resets on this L1 head: number of the L1 block, and of the L2 block."""

    @property
    def started(self) -> bool:
        """Whether there was an L1 head to start from."""
        return self._controller is not None

    @property
    def heads(self) -> Heads:
        """The heads of the L2 chain, once it has `started`."""
        if self._controller is None:
            raise RuntimeError("the driver has not been started")
        return self._controller.heads

    @property
    def derived_l1(self) -> L1Ref | None:
        """The L1 block up to which everything has been derived."""
        return self._machine.origin if self._machine is not None else None

    @property
    def _running(self) -> tuple[Derivation, EngineController]:
        if self._machine is None or self._controller is None:
            raise RuntimeError("the driver has not been started")
        return self._machine, self._controller

    async def _start(self) -> None:
        """Find the heads that hold, tell the engine, and make a fresh derivation machine."""
        start = await self._retrying(lambda: find_sync_start(self.config, self.l1, self.engine), "find the sync start")
        base = await self._retrying(lambda: find_base(self.config, self.engine, start.safe), "find the derivation base")
        self._controller = await self._retrying(
            lambda: EngineController.started(self.engine, self.config, start), "tell the engine where derivation begins"
        )
        self._machine = Derivation(self.config, safe=start.safe, base=base)
        self._finality = Finality()
        l1_start = l2_ref(base, self.config).l1_origin
        self.emit(PipelineReset(reason=self._reason, safe=start.safe.id, l1_start=l1_start))

    async def follow(self, after_each: Callable[[L1Heads], Awaitable[None]] | None = None) -> None:
        """Derive from every L1 head that the source reports; returns when a recorded source has no more.

        `after_each` is awaited when nothing more follows from the head it is given.
        """
        async for heads in self.l1.subscribe():
            await self.advance(heads)
            if after_each is not None:
                await after_each(heads)

    async def advance(self, heads: L1Heads) -> None:
        """Derive until the next L1 block is not there yet, and finalise what `heads` allow.

        Cancelled at any point it leaves the engine consistent: this driver can go on, and so can a new one.
        """
        self._fruitless_resets, self._furthest = 0, _NOWHERE
        while True:
            try:
                if self._machine is None:
                    await self._start()
                while not await self._step():
                    pass
                await self._finalize(heads)
            except ResetError as error:
                await self._reset(str(error))
            else:
                return

    async def _step(self) -> bool:
        """One event of the machine; True when it waits for an L1 block that does not exist yet."""
        machine, controller = self._running
        match machine.next_event():
            case NeedL1() as need:
                return await self._feed_l1(machine, need)
            case NeedData(block=block, transactions=transactions, rules=rules):
                inputs = await self._retrying(
                    lambda: read_inputs(self.data, block, transactions, rules),
                    f"read batcher data of L1 block {block.number}",
                )
                machine.feed_data(inputs)
            case NeedL2Block(number=number):
                try:
                    payload = await self._retrying(lambda: self.engine.block(number), f"read L2 block {number}")
                except NotFound as error:
                    raise ResetError(f"L2 block {number} is gone: {error}") from error
                machine.feed_l2(payload)
            case Derived() as derived:
                await self._include(machine, controller, derived)
            case MustReset(reason=reason):
                raise ResetError(reason)
            case event:
                self.emit(event)
        return False

    async def _feed_l1(self, machine: Derivation, need: NeedL1) -> bool:
        try:
            ref = await self._retrying(lambda: self.l1.ref(need.number), f"find L1 block {need.number}")
        except NotFound as error:
            await self._expect_above_head(need, error)
            self._note_origin(machine)
            return True
        if need.parent is not None and ref.parent_hash != need.parent.hash:
            raise ResetError(
                f"L1 reorg: block {ref.number} has parent 0x{ref.parent_hash.hex()}, "
                f"derivation stands at {need.parent.id}"
            )
        self._note_origin(machine)
        try:
            block = await self._retrying(lambda: self.l1.block(ref.hash), f"fetch L1 block {ref.id}")
            receipts: L1Receipts = ()
            if needs_receipts(block.header, self.config):
                receipts = await self._retrying(
                    lambda: self.l1.receipts(ref.hash), f"fetch receipts of L1 block {ref.id}"
                )
        except NotFound as error:
            raise ResetError(f"L1 block {ref.id} is gone: {error}") from error
        machine.feed_l1(block, receipts)
        return False

    async def _expect_above_head(self, need: NeedL1, missing: NotFound) -> None:
        """Raise `ResetError` when the block that is not there is not above the L1 head: the source lacks it."""
        try:
            head = await self._retrying(lambda: self.l1.head(L1Label.UNSAFE), "find the L1 head")
        except NotFound:
            return
        if need.number <= head.number:
            raise ResetError(f"L1 block {need.number} is missing, and the L1 head is {head.id}: {missing}") from missing

    async def _include(self, machine: Derivation, controller: EngineController, derived: Derived) -> None:
        what = f"include a block on {derived.parent.id}"
        try:
            result = await self._retrying(lambda: controller.include(derived), what)
        except CriticalError as error:
            error.add_note(f"while trying to {what}")
            raise
        if not isinstance(result, Confirmed):
            machine.reject(result.reason)
            if machine.pending_safe.hash != controller.heads.pending_safe.hash:
                await controller.give_back_pending()
            return
        machine.confirm(result.payload)
        self.on_derived(derived, result)
        self.emit(
            BlockDerived(
                block=result.ref,
                derived_from=derived.derived_from.id,
                batch=derived.kind.value,
                transactions=len(result.payload.transactions),
                gas_used=result.payload.gas_used,
                consolidated=result.consolidated,
            )
        )
        if derived.concludes:
            heads = controller.heads
            self.emit(
                HeadsMoved(
                    unsafe=heads.unsafe.id,
                    safe=heads.safe.id,
                    finalized=heads.finalized.id,
                    derived_l1=derived.derived_from.id,
                )
            )

    async def _reset(self, reason: str) -> None:
        """Prepare to begin anew. Going the same way again is no progress: a reset goes back, and blocks come again."""
        reached = self._reached
        if reached > self._furthest:
            self._fruitless_resets, self._furthest = 0, reached
        self._fruitless_resets += 1
        limit = self.resets_without_progress
        if limit is not None and self._fruitless_resets > limit:
            raise CriticalError(f"derivation cannot go on: {reason}")
        self._machine, self._reason = None, reason
        if self._fruitless_resets > 1:
            attempt = self._fruitless_resets - 1
            delay = min(self.policy.first * 2 ** min(attempt - 1, 16), self.policy.longest)
            self.emit(Retrying(part="driver", what="derive", error=reason, attempt=attempt, delay=delay))
            await trio.sleep(delay)

    @property
    def _reached(self) -> tuple[int, int]:
        if self._machine is None or self._machine.origin is None:
            return _NOWHERE
        return self._machine.origin.number, self._machine.pending_safe.number

    def _note_origin(self, machine: Derivation) -> None:
        if machine.origin is not None:
            self._finality.note(machine.origin.id, self.heads.local_safe)

    async def _finalize(self, heads: L1Heads) -> None:
        controller = self._running[1]
        found = None if heads.finalized is None else self._finality.final_at(heads.finalized.number)
        if found is None or found.safe.number <= controller.heads.finalized.number:
            return
        number = L1Number(found.l1.number)
        try:
            canonical = await self._retrying(lambda: self.l1.ref(number), f"find L1 block {number}")
        except NotFound:
            return  # L1 has changed since: its next heads will tell
        if canonical.hash != found.l1.hash:
            raise ResetError(
                f"L1 reorg: derivation has read block {found.l1}, the final one is 0x{canonical.hash.hex()}"
            )
        await self._retrying(lambda: controller.finalize(found.safe), f"finalise L2 block {found.safe.id}")

    async def _retrying(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        return await retrying(call, part="driver", what=what, policy=self.policy, emit=self.emit)
