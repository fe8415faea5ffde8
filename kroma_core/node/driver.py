"""Drives a node: follows L1, keeps the engine's heads, and takes up blocks that come ahead of L1.

Two ways to follow L1. A live source shows heads at any time, also while derivation is busy: the newest count, and tasks
beside derivation see to unsafe blocks and to finality (`run`). A recorded timeline is worked off one head at a time,
each until nothing more follows from it, so that every replay goes the same way (`follow`, `advance`).

An L1 reorg shows when the next block by number does not link to the last one. Then, as after anything else that makes
what was derived doubtful, a new machine is made from the safe block that still holds.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.errors import CriticalError, NotFound, ResetError, TemporaryError
from kroma_core.events import Asked, Event, HeadsMoved, PipelineReset
from kroma_core.l1 import L1Heads
from kroma_core.l2 import Heads, L2Label, Payload
from kroma_core.node.checkpoint import Checkpoint, Trusted
from kroma_core.node.deriver import Deriver, OnDerived
from kroma_core.node.engine_controller import EngineController
from kroma_core.node.isolation.derivation import Derivations, InThisProcess
from kroma_core.node.l1_heads import L1HeadTracker
from kroma_core.node.profile import SyncMode
from kroma_core.node.retry import Retrier, RetryPolicy, tried_again
from kroma_core.node.safe_heads import SafeHeadLog
from kroma_core.node.sync_start import find_base, find_sync_start
from kroma_core.node.tasks import task_group
from kroma_core.node.unsafe_sync import UnsafeSync
from kroma_core.status import SyncStatus
from kroma_core.types import BlockId, Hash32, L1Number, L1Ref, L2Number

_NOWHERE = (-1, -1)


@attrs.define(kw_only=True)
class Driver:
    """Follows L1 with one derivation machine and one engine.

    `resets_without_progress`: how often derivation may begin anew without coming further than before; None means
    without end (a live node waits and tries again). `on_derived` is told of every block, before observers are.
    `l1_confirmations`: so many blocks below its head L1 counts as not there yet. `derivations` makes the machines.
    `checkpoint`: the hash of an L2 block that counts as safe without having been derived.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    emit: Callable[[Event], None]
    policy: RetryPolicy = RetryPolicy()
    resets_without_progress: int | None = None
    on_derived: OnDerived = lambda derived, confirmed: None
    safe_heads: SafeHeadLog = attrs.field(factory=SafeHeadLog)
    l1_confirmations: int = 0
    sync_mode: SyncMode = SyncMode.CONSENSUS_LAYER
    derivations: Derivations = attrs.field(factory=InThisProcess)
    checkpoint: Hash32 | None = None
    _trusted: Trusted | None = attrs.field(default=None, init=False)
    _controller: EngineController | None = attrs.field(default=None, init=False)
    _deriver: Deriver | None = attrs.field(default=None, init=False)
    _tracker: L1HeadTracker = attrs.field(init=False)
    _unsafe: UnsafeSync = attrs.field(init=False)
    _retry: Retrier = attrs.field(init=False)
    _started: bool = attrs.field(default=False, init=False)
    _asks_source: bool = attrs.field(default=True, init=False)
    """Whether the source itself is asked for L1 blocks above the head that it showed last."""
    _reason: str = attrs.field(default="start", init=False)
    """Why derivation begins anew the next time."""
    _reset_asked: str | None = attrs.field(default=None, init=False)
    _interrupted: trio.Event = attrs.field(factory=trio.Event, init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the step that is going on, so that a reset need not wait for a part that does not answer."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _finality_due: trio.Event = attrs.field(factory=trio.Event, init=False)
    _fruitless_resets: int = attrs.field(default=0, init=False)
    _furthest: tuple[int, int] = attrs.field(default=_NOWHERE, init=False)
    """How far derivation came before the resets since it was last at rest: numbers of the L1 and the L2 block."""

    def __attrs_post_init__(self) -> None:
        self._retry = Retrier(part="driver", policy=self.policy, emit=self.emit)
        self._tracker = L1HeadTracker(emit=self.emit, policy=self.policy, on_change=self._on_l1_heads)
        self._unsafe = UnsafeSync(
            config=self.config,
            emit=self.emit,
            policy=self.policy,
            controller=lambda: self._controller,
            request_reset=self.request_reset,
            on_inserted=self._tell_heads,
        )

    # --- what others see and ask for; none of it waits

    @property
    def started(self) -> bool:
        """Whether there was an L1 head to start from."""
        return self._started

    @property
    def heads(self) -> Heads:
        """The heads of the L2 chain, once the engine has told them."""
        if self._controller is None:
            raise RuntimeError("the driver has not been started")
        return self._controller.heads

    @property
    def derived_l1(self) -> L1Ref | None:
        """The L1 block that is being read, or up to which everything has been derived."""
        return self._deriver.origin if self._deriver is not None else None

    def status(self) -> SyncStatus:
        """Where the node stands now."""
        l1, queued = self._tracker.heads, self._unsafe.queue.first
        return SyncStatus(
            current_l1=self.derived_l1,
            current_l1_finalized=self._tracker.finalized,
            head_l1=l1.unsafe if l1 is not None else None,
            safe_l1=l1.safe if l1 is not None else None,
            finalized_l1=l1.finalized if l1 is not None else None,
            heads=self._controller.heads if self._controller is not None else None,
            queued_unsafe=queued.ref if queued is not None else None,
        )

    async def submit_unsafe(self, payload: Payload, source: str) -> None:
        """Take up a block that comes ahead of L1; `source` says in events who brought it.

        It becomes the unsafe head when its parent is, unless L1 says otherwise before. Raises `DecodeError` for one
        that cannot be a block of this chain.
        """
        await trio.lowlevel.checkpoint()
        self._unsafe.submit(payload, source)

    def request_reset(self, reason: str) -> None:
        """Let derivation begin anew, from a safe block that holds. Whatever it waits for, it waits no longer."""
        self._reset_asked = reason
        self._scope.cancel()
        self._interrupted.set()
        self._woken.set()

    # --- following L1

    async def run(self, *, stepwise: bool = False) -> None:
        """Follow L1 until its source ends, if it does. `stepwise`: it is a timeline, to be followed step by step."""
        async with task_group() as nursery:
            nursery.start_soon(self.safe_heads.keep_written)
            nursery.start_soon(self._unsafe.run)
            await self._resume()
            if stepwise:
                await self.follow()
            else:
                await self._follow_live(nursery)
            nursery.cancel_scope.cancel()

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
        self._tracker.show(heads)
        self._rest()
        while True:
            await self._derive()
            try:
                await self._finalize(heads.finalized)
            except ResetError as error:
                await self._reset(error)
            else:
                return

    async def _follow_live(self, nursery: trio.Nursery) -> None:
        """Derive whatever the source's newest heads allow, until it has no more."""
        self._asks_source = False
        ended = False

        async def track() -> None:
            nonlocal ended
            await self._tracker.follow(self.l1)
            ended = True
            self._woken.set()

        nursery.start_soon(track)
        nursery.start_soon(self._keep_final)
        await self._unsafe.engine_synced.wait()
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            if self._tracker.heads is not None:
                await self._derive()
                self._rest()
                self._finality_due.set()
            if ended and not self._woken.is_set():
                if self._started:
                    await self._finalize(self._tracker.finalized)
                return

    async def _resume(self) -> None:
        """Learn the engine's heads: unsafe blocks can be taken up from here on, whatever L1 does."""
        controller = await self._retry(
            lambda: EngineController.resumed(self.engine, self.config), "read the engine's heads", Asked.ENGINE
        )
        self._take(controller)
        genesis = self.config.rollup.genesis.l2.number
        if self.sync_mode is SyncMode.CONSENSUS_LAYER or controller.heads.finalized.number > genesis:
            self._unsafe.engine_synced.set()

    # --- derivation

    async def _derive(self) -> None:
        """Derive until the next L1 block is not to be read yet, beginning anew where it has to be."""
        while True:
            try:
                await self._derive_on()
                return
            except ResetError as error:
                await self._reset(error)

    async def _derive_on(self) -> None:
        with trio.CancelScope() as self._scope:
            if self._reset_asked is None:
                deriver = self._deriver or await self._start()
                while not await deriver.step():
                    self._look_at_finality(deriver)
        if self._reset_asked is not None:
            reason, self._reset_asked = self._reset_asked, None
            self._rest()
            raise ResetError(reason)

    async def _start(self) -> Deriver:
        """Find the heads that hold, tell the engine, and make a fresh derivation machine."""
        controller = self._controller
        before = controller.heads if controller is not None else None
        trusted = await self._checked_checkpoint()
        start = await find_sync_start(self.config, self._l1_ref, self._l2_block, self.emit, trusted)
        base = await find_base(self.config, self._l2_block, start.safe)
        what = "tell the engine where derivation begins"
        if controller is None or before is None:
            controller = await self._retry(
                lambda: EngineController.started(self.engine, self.config, start), what, Asked.ENGINE
            )
            self._take(controller)
        else:
            await self._retry(functools.partial(controller.restart, start, before), what, Asked.ENGINE)
        safe = controller.heads.safe
        self.safe_heads.reset(safe)
        if safe.number == self.config.rollup.genesis.l2.number:
            self.safe_heads.record(await self._l1_genesis(), safe.id)
        self._deriver = Deriver(
            config=self.config,
            l1=self.l1,
            data=self.data,
            engine=self.engine,
            controller=controller,
            safe_heads=self.safe_heads,
            retry=self._retry,
            emit=self.emit,
            on_derived=self.on_derived,
            limit=self._limit,
            machine=await self.derivations.begin(self.config, start.safe, base),
        )
        self._started = True
        l1_start = l2_ref(base, self.config).l1_origin
        self.emit(PipelineReset(reason=self._reason, safe=start.safe.id, l1_start=l1_start))
        return self._deriver

    async def _checked_checkpoint(self) -> Trusted | None:
        """The block that the operator trusts. It is looked at once: what becomes of it later is a reset's matter."""
        if self.checkpoint is None or self._trusted is not None:
            return self._trusted
        passer, what = MESSAGE_PASSER[self.config.rollup.family], "look for the state after the checkpoint"
        checkpoint = Checkpoint(
            hash=self.checkpoint,
            config=self.config,
            l1=self._l1_ref,
            l2=self._l2_block,
            state=lambda at: self._retry(lambda: self.engine.storage_root(passer, at), what, Asked.ENGINE),
            finalized_l1=self._tracker.finalized,
        )
        self._trusted = await checkpoint.trusted()
        self._reason = f"{self._reason}, trusting L2 block {self._trusted.block.id}"
        return self._trusted

    async def _reset(self, error: ResetError) -> None:
        """Prepare to begin anew. Going the same way again is no progress: a reset goes back, and blocks come again."""
        reason = str(error)
        reached = self._deriver.reached if self._deriver is not None else _NOWHERE
        if reached > self._furthest:
            self._fruitless_resets, self._furthest = 0, reached
        self._fruitless_resets += 1
        limit = self.resets_without_progress
        if limit is not None and self._fruitless_resets > limit:
            raise CriticalError(f"derivation cannot go on: {reason}")
        self._deriver, self._reason = None, reason
        if self._fruitless_resets > 1:
            attempt = self._fruitless_resets - 1
            delay = self.policy.delay(attempt)
            again = tried_again(
                error, part="driver", what="derive", attempt=attempt, delay=delay, asked=Asked.DERIVATION
            )
            self.emit(again)
            self._interrupted = trio.Event()
            with trio.move_on_after(delay):
                await self._interrupted.wait()

    def _rest(self) -> None:
        """Resets so far are forgotten: derivation has come to its end, or somebody wants it anew."""
        self._fruitless_resets, self._furthest = 0, _NOWHERE

    def _limit(self) -> int | None:
        """The highest L1 number that derivation may read; None: whatever the source has."""
        heads = self._tracker.heads
        if heads is None or (self._asks_source and not self.l1_confirmations):
            return None
        return heads.unsafe.number - self.l1_confirmations

    # --- finality

    async def _keep_final(self) -> None:
        """Finalise what can be, each time that this may have changed."""
        while True:
            await self._finality_due.wait()
            self._finality_due = trio.Event()
            try:
                await self._finalize(self._tracker.finalized)
            except ResetError as error:
                self.request_reset(str(error))

    def _look_at_finality(self, deriver: Deriver) -> None:
        """While derivation catches up: the L1 blocks that it remembers are soon replaced by later ones."""
        if not self._asks_source and deriver.origin is not None and deriver.finality.due(deriver.origin.number):
            self._finality_due.set()

    async def _finalize(self, finalized: L1Ref | None) -> None:
        deriver = self._deriver
        if finalized is None or deriver is None:
            return
        found = deriver.finality.final_at(finalized.number)
        if found is None or found.safe.number <= deriver.controller.heads.finalized.number:
            return
        for what, block in (("the source calls final", finalized.id), ("derivation has read", found.l1)):
            number = L1Number(block.number)
            try:
                canonical = await self._l1_ref(number)
            except NotFound:
                return  # L1 has changed since: its next heads will tell
            if canonical.hash != block.hash:
                raise ResetError(f"L1 reorg: {what} block {block}, the canonical one is 0x{canonical.hash.hex()}")
        if deriver is not self._deriver:
            return  # derivation has begun anew meanwhile: maybe on another branch
        moved = await self._retry(
            lambda: deriver.controller.finalize(found.safe), f"finalise L2 block {found.safe.id}", Asked.ENGINE
        )
        if moved:
            self._tell_heads()

    # --- small things

    def _take(self, controller: EngineController) -> None:
        controller.on_heads = lambda heads: self._unsafe.wake()
        self._controller = controller
        self._unsafe.wake()

    def _on_l1_heads(self) -> None:
        self._woken.set()
        self._finality_due.set()

    def _tell_heads(self) -> None:
        heads = self.heads
        derived = self.derived_l1.id if self.derived_l1 is not None else heads.local_safe.l1_origin
        self.emit(
            HeadsMoved(unsafe=heads.unsafe.id, safe=heads.safe.id, finalized=heads.finalized.id, derived_l1=derived)
        )

    async def _l1_ref(self, which: L1Number | Hash32) -> L1Ref:
        name = f"0x{which.hex()}" if isinstance(which, bytes) else which
        return await self._retry(lambda: self.l1.ref(which), f"find L1 block {name}", Asked.L1)

    async def _l2_block(self, which: Hash32 | L2Number | L2Label) -> Payload:
        name = f"0x{which.hex()}" if isinstance(which, bytes) else which
        return await self._retry(lambda: self.engine.block(which), f"read L2 block {name}", Asked.ENGINE)

    async def _l1_genesis(self) -> BlockId:
        """The first L1 block: from there on the rollup's genesis is safe, whatever came before it on L1."""
        genesis = self.config.rollup.genesis.l1
        if genesis.number == 0:
            return genesis
        try:
            return (await self.l1.ref(L1Number(0))).id
        except (NotFound, TemporaryError):
            return genesis  # not worth waiting for
