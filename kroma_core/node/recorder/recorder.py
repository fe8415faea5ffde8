"""A node whose L1 is recorded while it follows, with the chain that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from kroma_core.api import Role
from kroma_core.chain.config import ChainConfig
from kroma_core.derive.steps import Derived
from kroma_core.errors import ConfigError, CriticalError, NotFound
from kroma_core.events import Event
from kroma_core.l1 import L1Heads
from kroma_core.node.assemble import Parts
from kroma_core.node.driver import Driver
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.recorder.blobs import RecordedBlobs
from kroma_core.node.recorder.tape import Tape
from kroma_core.node.recorder.walk import RecordedWalk
from kroma_core.node.retry import Retrier, RetryPolicy
from kroma_core.recording import ExpectedBlock, SafeAfter
from kroma_core.types import L2Number

PART = "recorder"


@attrs.define(kw_only=True)
class Recorder:
    """Follows L1 with the parts of a profile and records what it sees, until `until` says that these heads are enough.

    `patience` and `resets_without_progress` are the driver's. The parts are opened with `wrap`, which puts the tape
    between them and the L1. `emit` is told what the tape has to try again.
    """

    config: ChainConfig
    tape: Tape
    patience: RetryPolicy
    resets_without_progress: int | None
    emit: Callable[[Event], None]
    until: Callable[[L1Heads], bool] = lambda heads: False
    _fresh: dict[int, tuple[Derived, Confirmed]] = attrs.field(factory=dict, init=False)
    """What was derived since the last step, by L2 number."""

    def wrap(self, role: Role, part: Any) -> Any:
        """What the parts of the plan are opened with."""
        if role is Role.L1:
            retry = Retrier(part=PART, policy=self.patience, emit=self.emit)
            return RecordedWalk(source=part, tape=self.tape, first=self.config.rollup.genesis.l1, retry=retry)
        return RecordedBlobs(part, self.tape) if role is Role.BLOBS else part

    async def run(self, parts: Parts) -> None:
        """Follow and record. Raises `ConfigError` where the engine has blocks already: a replay would begin without."""
        await self._expect_genesis(parts)
        driver = Driver(
            config=self.config,
            l1=parts.l1,
            data=parts.data,
            engine=parts.engine,
            emit=parts.emit,
            policy=self.patience,
            resets_without_progress=self.resets_without_progress,
            on_derived=self._note,
            derivations=parts.derivations,
        )
        with trio.CancelScope() as scope:

            async def after_each(heads: L1Heads) -> None:
                await self._record(parts, driver, heads)
                if self.until(heads):
                    scope.cancel()

            await driver.follow(after_each)

    async def _expect_genesis(self, parts: Parts) -> None:
        heads, genesis = await parts.engine.heads(), self.config.rollup.genesis.l2
        if heads.unsafe != genesis.hash:
            raise ConfigError(
                f"the engine has blocks already: its head is 0x{heads.unsafe.hex()}, not the genesis {genesis}; "
                "a recording begins where the rollup begins, and so has the engine to"
            )

    def _note(self, derived: Derived, confirmed: Confirmed) -> None:
        self._fresh[confirmed.ref.number] = derived, confirmed

    async def _record(self, parts: Parts, driver: Driver, heads: L1Heads) -> None:
        blocks: list[ExpectedBlock] = []
        for number, (derived, confirmed) in sorted(self._fresh.items()):
            payload, ref = confirmed.payload, confirmed.ref
            try:
                receipts = await parts.engine.receipts(ref.hash)
            except NotFound:
                if number <= driver.heads.safe.number:
                    raise
                continue  # given up again
            blocks.append(
                ExpectedBlock(
                    number=L2Number(number),
                    hash=ref.hash,
                    attributes=derived.attributes,
                    payload=payload,
                    receipts=receipts,
                    batch=derived.kind.value,
                    derived_from=derived.derived_from.id,
                    l1_origin=ref.l1_origin,
                    sequence_number=ref.sequence_number,
                )
            )
        derived_l1 = driver.derived_l1
        if derived_l1 is None:
            raise CriticalError(f"record the step to L1 block {heads.unsafe.id}: nothing was derived")
        safe = SafeAfter(l1_head=heads.unsafe.hash, safe_l2=driver.heads.safe.id, derived_l1=derived_l1.id)
        await self.tape.add_step(heads, blocks, safe)
        self._fresh.clear()
