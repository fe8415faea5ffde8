"""One derivation machine at work: fetches what it asks for and hands its attributes to the engine.

The machine is asked and answered here alone. What goes to it and comes from it are values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.attributes import needs_receipts
from kroma_core.derive.steps import Derived, MustReset, NeedData, NeedL1, NeedL2Block
from kroma_core.errors import CriticalError, NotFound, ResetError
from kroma_core.events import Asked, BlockDerived, Event, HeadsMoved, L1Reorganised
from kroma_core.l1 import L1Label, L1Receipts
from kroma_core.node.engine_controller import Confirmed, EngineController
from kroma_core.node.finality import Finality
from kroma_core.node.inbox_reader import read_inputs
from kroma_core.node.isolation.derivation import DerivationMachine
from kroma_core.node.retry import Retrier
from kroma_core.node.safe_heads import SafeHeadLog
from kroma_core.types import BlockId, L1Number, L1Ref, L2Ref

OnDerived: TypeAlias = Callable[[Derived, Confirmed], None]

REMEMBERED = 1024
"""L1 blocks that were read last; a reorg that is deeper is told to be as deep as this."""


@attrs.define(kw_only=True)
class Deriver:
    """Works off L1 with one machine, from one safe block on, until a `ResetError` ends it.

    `limit` says up to which L1 number may be read now; None leaves it to what the source has.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    controller: EngineController
    safe_heads: SafeHeadLog
    retry: Retrier
    emit: Callable[[Event], None]
    on_derived: OnDerived
    limit: Callable[[], int | None]
    machine: DerivationMachine
    finality: Finality = attrs.field(factory=Finality, init=False)
    _began: L2Ref = attrs.field(
        default=attrs.Factory(lambda self: self.controller.heads.local_safe, takes_self=True), init=False
    )
    """The safe head to begin with: it came from other L1 blocks than those that are read now, up to a window later."""
    _read: deque[BlockId] = attrs.field(factory=lambda: deque(maxlen=REMEMBERED), init=False)

    @property
    def origin(self) -> L1Ref | None:
        """The L1 block that is being read; None before the first."""
        return self.machine.origin

    @property
    def reached(self) -> tuple[int, int]:
        """How far derivation has come: number of the L1 block, and of the L2 block."""
        origin = self.machine.origin
        return (-1, -1) if origin is None else (origin.number, self.machine.pending_safe.number)

    async def step(self) -> bool:
        """One event of the machine; True when it waits for an L1 block that is not to be read yet."""
        match await self.machine.next_event():
            case NeedL1() as need:
                return await self._feed_l1(need)
            case NeedData(block=block, transactions=transactions, rules=rules):
                inputs = await self.retry(
                    lambda: read_inputs(self.data, block, transactions, rules),
                    f"read batcher data of L1 block {block.number}",
                    Asked.DATA,
                )
                self.machine.feed_data(inputs)
            case NeedL2Block(number=number):
                try:
                    payload = await self.retry(
                        lambda: self.engine.block(number), f"read L2 block {number}", Asked.ENGINE
                    )
                except NotFound as error:
                    raise ResetError(f"L2 block {number} is gone: {error}") from error
                self.machine.feed_l2(payload)
            case Derived() as derived:
                await self._include(derived)
            case MustReset(reason=reason):
                raise ResetError(reason)
            case event:
                self.emit(event)
        return False

    async def _feed_l1(self, need: NeedL1) -> bool:
        await self.retry(self.controller.settle, "tell the engine what is safe", Asked.ENGINE)
        limit = self.limit()
        if limit is not None and need.number > limit:
            self._note_origin()
            return True
        try:
            ref = await self.retry(lambda: self.l1.ref(need.number), f"find L1 block {need.number}", Asked.L1)
        except NotFound as error:
            await self._expect_above_head(need, error)
            self._note_origin()
            return True
        if need.parent is not None and ref.parent_hash != need.parent.hash:
            await self._tell_reorg(need.parent, ref)
            raise ResetError(
                f"L1 reorg: block {ref.number} has parent 0x{ref.parent_hash.hex()}, "
                f"derivation stands at {need.parent.id}"
            )
        self._note_origin()
        try:
            block = await self.retry(lambda: self.l1.block(ref.hash), f"fetch L1 block {ref.id}", Asked.L1)
            receipts: L1Receipts = ()
            if needs_receipts(block.header, self.config):
                receipts = await self.retry(
                    lambda: self.l1.receipts(ref.hash), f"fetch receipts of L1 block {ref.id}", Asked.L1
                )
        except NotFound as error:
            raise ResetError(f"L1 block {ref.id} is gone: {error}") from error
        self._read.append(ref.id)
        self.machine.feed_l1(block, receipts)
        return False

    async def _expect_above_head(self, need: NeedL1, missing: NotFound) -> None:
        """Raise `ResetError` when the block that is not there is not above the L1 head: the source lacks it."""
        try:
            head = await self.retry(lambda: self.l1.head(L1Label.UNSAFE), "find the L1 head", Asked.L1)
        except NotFound:
            return
        if need.number <= head.number:
            raise ResetError(f"L1 block {need.number} is missing, and the L1 head is {head.id}: {missing}") from missing

    async def _tell_reorg(self, old: L1Ref, new: L1Ref) -> None:
        """Tell observers how many of the blocks that were read the new branch leaves out."""
        low, high = 0, len(self._read) - 1  # the last one is left out; those before `low` are not
        while low < high:
            middle = (low + high) // 2
            if await self._is_canonical(self._read[middle]):
                low = middle + 1
            else:
                high = middle
        self.emit(L1Reorganised(depth=max(len(self._read) - low, 1), old=old.id, new=new.id))

    async def _is_canonical(self, block: BlockId) -> bool:
        number = L1Number(block.number)
        try:
            ref = await self.retry(lambda: self.l1.ref(number), f"find L1 block {number}", Asked.L1)
        except NotFound:
            return False
        return ref.hash == block.hash

    def _note_origin(self) -> None:
        origin, safe = self.machine.origin, self.controller.heads.local_safe
        if origin is None:
            return
        if safe != self._began or origin.number > safe.l1_origin.number + self.config.rollup.seq_window_size:
            self.finality.note(origin.id, safe)

    async def _include(self, derived: Derived) -> None:
        what = f"include a block on {derived.parent.id}"
        try:
            result = await self.retry(lambda: self.controller.include(derived), what, Asked.ENGINE)
        except CriticalError as error:
            error.add_note(f"while trying to {what}")
            raise
        if not isinstance(result, Confirmed):
            self.machine.reject(result.reason)
            if not self.config.rollup.schedule.at(derived.derived_from.timestamp).strict_order:
                await self.retry(self.controller.drop_pending, "drop the rest of a span batch", Asked.ENGINE)
            return
        self.machine.confirm(result.payload)
        self.on_derived(derived, result)
        self.emit(
            BlockDerived(
                block=result.ref,
                derived_from=derived.derived_from.id,
                batch=derived.kind.value,
                transactions=len(result.payload.transactions),
                gas_used=result.payload.gas_used,
                consolidated=result.consolidated,
                place=derived.place,
            )
        )
        if derived.concludes:
            heads = self.controller.heads
            self.safe_heads.record(derived.derived_from.id, heads.safe.id)
            self.emit(
                HeadsMoved(
                    unsafe=heads.unsafe.id,
                    safe=heads.safe.id,
                    finalized=heads.finalized.id,
                    derived_l1=derived.derived_from.id,
                )
            )
