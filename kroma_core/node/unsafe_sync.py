"""Takes up blocks that come ahead of L1: checks them, keeps them in order, and puts them on the unsafe head.

It has its own task and waits for nothing but the engine, so that unsafe blocks go on while L1 or derivation stands
still. Spec: rollup-node.md, "Unsafe sync"; exec-engine.md, "Sync".
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from kroma_core.api import Invalid, Syncing, Valid
from kroma_core.chain.config import ChainConfig
from kroma_core.codec.payloads import block_hash_of
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.errors import DecodeError, ResetError, TemporaryError
from kroma_core.events import Asked, Event, Searching, UnsafePayload
from kroma_core.l2 import Payload
from kroma_core.node.engine_controller import EngineController
from kroma_core.node.retry import RetryPolicy, tried_again
from kroma_core.node.unsafe_queue import MAX_BYTES, Outcome, UnsafeQueue, Waiting, size_of
from kroma_core.types import L2Ref, Timestamp


@attrs.define(kw_only=True)
class UnsafeSync:
    """The queue of unsafe blocks, and what empties it.

    `controller` is None as long as the engine has not been asked for its heads. `request_reset` is called where the
    engine has lost the chain.
    """

    config: ChainConfig
    emit: Callable[[Event], None]
    policy: RetryPolicy
    controller: Callable[[], EngineController | None]
    request_reset: Callable[[str], None]
    on_inserted: Callable[[], None] = lambda: None
    queue: UnsafeQueue = attrs.field(factory=UnsafeQueue)
    engine_synced: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the engine needs no help (any more) to come to the tip."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)

    def submit(self, payload: Payload, source: str) -> None:
        """Take a block up. Raises `DecodeError` for one that cannot be a block of this chain."""
        ref = checked_ref(payload, self.config)
        block = Waiting(payload=payload, ref=ref, source=source)
        controller = self.controller()
        if controller is not None and ref.number <= controller.heads.safe.number:
            self._tell(block, Outcome.SAFE)
            return
        outcome, crowded = self.queue.push(block)
        self._tell(block, outcome)
        for other in crowded:
            self._tell(other, Outcome.CROWDED_OUT)
        self.wake()

    def wake(self) -> None:
        """Look at the queue: the heads have moved, or it has changed."""
        if self.queue:
            self._woken.set()

    async def run(self) -> None:
        """Empty the queue as the heads allow, for ever."""
        attempt = 1
        while True:
            with trio.move_on_after(2 * self.config.rollup.block_time if self.queue else float("inf")):
                await self._woken.wait()
            gap_is_old = not self._woken.is_set()
            self._woken = trio.Event()
            controller = self.controller()
            if controller is None or not self.queue:
                continue
            try:
                await self._work_off(controller, gap_is_old=gap_is_old)
                attempt = 1
            except TemporaryError as error:
                if self.policy.is_last(attempt):
                    raise
                delay = self.policy.delay(attempt)
                what = "insert unsafe blocks"
                self.emit(
                    tried_again(error, part="driver", what=what, attempt=attempt, delay=delay, asked=Asked.UNSAFE)
                )
                await trio.sleep(delay)
                attempt += 1
                self._woken.set()
            except ResetError as error:
                self.request_reset(str(error))

    async def _work_off(self, controller: EngineController, *, gap_is_old: bool) -> None:
        if not self.engine_synced.is_set():
            await self._sync_engine(controller)
            return
        while (block := self._next(controller)) is not None:
            if block.payload.parent_hash == controller.heads.unsafe.hash:
                result = await controller.extend_unsafe(block.payload, block.ref)
            elif gap_is_old:
                gap_is_old = False
                self._tell_search(controller, block)
                result = await controller.offer(block.payload, block.ref)
            else:
                return
            if isinstance(result, Syncing):
                return
            if isinstance(result, Valid | Invalid):
                self._settle(block, result)

    async def _sync_engine(self, controller: EngineController) -> None:
        """Show the engine the highest block there is, again and again, until it has everything below it."""
        while len(self.queue) > 1:
            self._tell(self.queue.pop(), Outcome.PAST)
        block = self._next(controller)
        if block is None:
            return
        self._tell_search(controller, block)
        result = await controller.offer(block.payload, block.ref)
        if isinstance(result, Syncing):
            return
        self._settle(block, result)
        if isinstance(result, Valid):
            await controller.trust_unsafe()
            self.engine_synced.set()

    def _next(self, controller: EngineController) -> Waiting | None:
        """The first block that may still follow the heads; those before it are dropped."""
        heads = controller.heads
        while (useless := self.queue.pop_useless(heads.unsafe, heads.safe)) is not None:
            outcome, block = useless
            self._tell(block, outcome)
        return self.queue.first

    def _settle(self, block: Waiting, result: Valid | Invalid) -> None:
        self.queue.remove(block)
        self._tell(block, Outcome.INSERTED if isinstance(result, Valid) else Outcome.INVALID)
        if isinstance(result, Valid):
            self.on_inserted()

    def _tell(self, block: Waiting, outcome: Outcome) -> None:
        self.emit(
            UnsafePayload(block=block.payload.id, source=block.source, outcome=outcome.value, queued=len(self.queue))
        )

    def _tell_search(self, controller: EngineController, block: Waiting) -> None:
        at = controller.heads.unsafe.number
        self.emit(Searching(part="engine", what="L2 blocks below an unsafe one", at=at, towards=block.ref.number))


def checked_ref(payload: Payload, config: ChainConfig) -> L2Ref:
    """An unsafe block as far as it can be judged by itself. Raises `DecodeError` that says what is wrong with it.

    Its hash is that of its fields, its time that of its number, it begins with L1 attributes, and it fits the queue.
    The first block with another kind of state trie comes from L1 alone.
    """
    rollup = config.rollup
    where = f"unsafe block {payload.id}"
    if payload.number <= rollup.genesis.l2.number:
        raise DecodeError(f"{where}: expected a block after genesis, which is {rollup.genesis.l2.number}")
    if size_of(payload) > MAX_BYTES:
        raise DecodeError(f"{where}: expected at most {MAX_BYTES} bytes, got {size_of(payload)}")
    time = Timestamp(rollup.genesis.l2_time + (payload.number - rollup.genesis.l2.number) * rollup.block_time)
    if payload.timestamp != time:
        raise DecodeError(f"{where}: expected the time {time} for this number, got {payload.timestamp}")
    if rollup.schedule.at(time).state is not rollup.schedule.at(Timestamp(time - rollup.block_time)).state:
        raise DecodeError(f"{where}: it is the first block of another state trie, which only L1 may bring")
    if payload.gas_used > payload.gas_limit:
        raise DecodeError(f"{where}: {payload.gas_used} gas used, the limit is {payload.gas_limit}")
    fields = block_hash_of(payload)
    if fields != payload.hash:
        raise DecodeError(f"{where}: its fields hash to 0x{fields.hex()}")
    return l2_ref(payload, config)
