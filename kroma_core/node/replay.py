"""Derives and executes a recording with any parts, and compares the result with what the reference client recorded.

The parts get L1 data and attributes only; what is expected is read here, after the fact. A block may be derived several
times (L1 reorgs, resets): the last time counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from kroma_core.api import DataSource, ExecutionEngine, L1Source
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.derive.steps import BatchKind, Derived
from kroma_core.errors import NotFound
from kroma_core.events import Event, PipelineReset, Subject, Verdict
from kroma_core.l1 import L1Heads
from kroma_core.l2 import Payload
from kroma_core.node.comparison import (
    Difference,
    block_differences,
    deposit_nonce_difference,
    differ,
    record_differences,
    skipped_step_difference,
    step_difference,
)
from kroma_core.node.driver import Driver
from kroma_core.node.engine_controller import Confirmed
from kroma_core.node.retry import IMPATIENT
from kroma_core.recording.problems import shown
from kroma_core.recording.reader import Expected
from kroma_core.recording.values import ExpectedBlock, ExpectedOutput
from kroma_core.types import BlockId, L2Number

FRUITLESS_RESETS = 3
"""How often a replay begins derivation anew without coming further before it gives up: a recording does not change."""


@attrs.frozen(kw_only=True)
class Progress:
    """How far a replay is: safe L2 blocks and timeline steps."""

    blocks: int
    blocks_in_all: int | None
    steps: int
    steps_in_all: int


@attrs.frozen(kw_only=True)
class ReplayResult:
    """What came of a replay. `difference` is None when all that the recording expects was met.

    `compared` is False where the recording carries no expected chain.
    """

    blocks: int
    head: BlockId
    difference: Difference | None
    compared: bool


@attrs.define(kw_only=True)
class Replay:
    """One run over a recorded timeline. `expected` None: derive and execute only.

    `executes`: the engine has state of its own, so that outputs can be compared too. `skipped_steps`: the steps of the
    recording that `l1` leaves out, with their heads.
    """

    config: ChainConfig
    l1: L1Source
    data: Sequence[DataSource]
    engine: ExecutionEngine
    executes: bool
    steps_in_all: int
    expected: Expected | None
    skipped_steps: Mapping[int, BlockId] = attrs.field(factory=dict)
    emit: Callable[[Event], None] = lambda event: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_derived: Callable[[Derived, Confirmed], None] = lambda derived, confirmed: None
    _bad_blocks: dict[int, Difference] = attrs.field(factory=dict, init=False)
    _refusals: dict[int, str] = attrs.field(factory=dict, init=False)
    _bad_step: Difference | None = attrs.field(default=None, init=False)
    _resets: int = attrs.field(default=0, init=False)
    """How often derivation began, the first time included."""
    _steps: int = attrs.field(default=0, init=False)
    _steps_known: bool = attrs.field(default=False, init=False)

    async def run(self) -> ReplayResult:
        """Replay to the end of the timeline. Raises what the parts raise when they cannot go on."""
        driver = Driver(
            config=self.config,
            l1=self.l1,
            data=self.data,
            engine=self.engine,
            emit=self._observe,
            policy=IMPATIENT,
            resets_without_progress=FRUITLESS_RESETS,
            on_derived=self._compare_block,
        )
        await driver.follow(lambda heads: self._compare_step(driver, heads))
        genesis = self.config.rollup.genesis.l2
        safe = driver.heads.safe.id if driver.started else genesis
        difference: Difference | None = None
        if self.expected is not None:
            await self._pass_skipped_steps(self.expected)
            difference = await self._first_difference(self.expected, safe)
        return ReplayResult(
            blocks=safe.number - genesis.number,
            head=safe,
            difference=difference,
            compared=self.expected is not None,
        )

    def _observe(self, event: Event) -> None:
        if isinstance(event, Verdict) and event.subject is Subject.ATTRIBUTES:
            numbers = dict(event.numbers)
            self._refusals[int(numbers["number"])] = str(numbers["engine"])
        self._resets += isinstance(event, PipelineReset)
        self.emit(event)

    def _compare_block(self, derived: Derived, confirmed: Confirmed) -> None:
        self.on_derived(derived, confirmed)
        number = confirmed.ref.number
        self._refusals.pop(number, None)
        if self.expected is None:
            return
        expected = self.expected.block(number)
        if expected is None:
            self._bad_blocks.pop(number, None)  # above the final chain: judged by the steps' safe heads
            return
        found = next(block_differences(expected, derived, confirmed, history=self._history(expected, derived)), None)
        if found is None:
            self._bad_blocks.pop(number, None)
        else:
            self._bad_blocks[number] = found

    def _history(self, expected: ExpectedBlock, derived: Derived) -> bool:
        """Whether the recording can tell which batch gave this block, and at which L1 block.

        Not where branches were left out. And a client that reads its own log to tell them, as the makers of
        `chain-vector/1` did, takes single batches in strict order for what was left of a span batch that a reset cut
        off: op-node's log has a line for the span batch, and none for the single ones.
        """
        strict = self.config.rollup.schedule.at(derived.derived_from.timestamp).strict_order
        cut_off = self._resets > 1 and strict and (expected.batch, derived.kind) == (BatchKind.SPAN, BatchKind.SINGULAR)
        return not self.skipped_steps and not cut_off

    async def _compare_step(self, driver: Driver, heads: L1Heads) -> None:
        if self.expected is not None:
            await self._pass_skipped_steps(self.expected)
            wanted = self.expected.safe_after(self._steps)
            self._steps_known |= wanted is not None
            if wanted is None:
                self._note_missing_step()
            elif self._bad_step is None:
                self._bad_step = await step_difference(
                    self._steps, wanted, heads, safe=driver.heads.safe.id, derived=driver.derived_l1, l1=self.l1
                )
        self._steps += 1
        self.on_progress(
            Progress(
                blocks=driver.heads.safe.number - self.config.rollup.genesis.l2.number,
                blocks_in_all=self.expected.block_count if self.expected is not None else None,
                steps=self._steps,
                steps_in_all=self.steps_in_all,
            )
        )

    async def _pass_skipped_steps(self, expected: Expected) -> None:
        while (head := self.skipped_steps.get(self._steps)) is not None:
            wanted = expected.safe_after(self._steps)
            if wanted is None:
                self._note_missing_step()
            elif self._bad_step is None:
                self._bad_step = await skipped_step_difference(self._steps, wanted, head, self.l1)
            self._steps += 1

    def _note_missing_step(self) -> None:
        """A record with the safe head after some steps has it after all of them."""
        if self._steps_known and self._bad_step is None:
            where = f"timeline step {self._steps}"
            self._bad_step = Difference(where=where, field="safe_l2", expected="one for each step", got="none recorded")

    async def _first_difference(self, expected: Expected, safe: BlockId) -> Difference | None:
        found = await self._block_difference(expected)
        return found or self._bad_step or self._count_difference(expected, safe)

    async def _block_difference(self, expected: Expected) -> Difference | None:
        """The lowest block that is not as expected."""
        for block in expected.blocks():
            found = self._bad_blocks.get(block.number) or await self._stored_difference(expected, block)
            if found is not None:
                return found
        return None

    async def _stored_difference(self, expected: Expected, block: ExpectedBlock) -> Difference | None:
        """What the engine's final chain alone shows (canonical blocks, receipts, outputs), and the record itself."""
        where = f"block {block.number}"
        try:
            payload = await self.engine.block(L2Number(block.number))
            receipts = await self.engine.receipts(payload.hash)
        except NotFound:
            refusal = self._refusals.get(block.number)
            if refusal is not None:
                return Difference(where=where, field="engine's verdict", expected="valid", got=refusal)
            return Difference(where=where, field="hash", expected=shown(block.hash), got="no such block")
        if payload.hash != block.hash:
            return Difference(where=where, field="hash", expected=shown(block.hash), got=shown(payload.hash))
        found = next(differ(where, "receipts", block.receipts, receipts), None)
        output = expected.output(L2Number(block.number))
        if found is None and output is not None and self.executes:
            found = await self._output_difference(where, output, payload)
        if found is None:
            following = expected.block(block.number + 1) if output is not None else None
            found = next(record_differences(block, output, following, executed=self.executes), None)
        if found is None and self.executes:
            found = await self._nonce_difference(block)
        return found

    async def _nonce_difference(self, block: ExpectedBlock) -> Difference | None:
        try:
            return await deposit_nonce_difference(block, self.config, self.engine)
        except NotFound:
            return None  # an engine may execute and yet have no proofs

    async def _output_difference(self, where: str, output: ExpectedOutput, payload: Payload) -> Difference | None:
        root = await self.engine.storage_root(MESSAGE_PASSER[self.config.rollup.family], payload.hash)
        pairs = (
            ("stateRoot", output.state_root, payload.state_root),
            ("withdrawalStorageRoot", output.withdrawal_storage_root, root),
        )
        for field, one, other in pairs:
            for found in differ(where, f"output.{field}", one, other):
                return found
        return None

    def _count_difference(self, expected: Expected, safe: BlockId) -> Difference | None:
        last = self.config.rollup.genesis.l2.number + expected.block_count
        if safe.number != last:
            return Difference(where="final chain", field="safe head", expected=str(last), got=str(safe.number))
        if self._steps != self.steps_in_all:
            return Difference(where="timeline", field="steps", expected=str(self.steps_in_all), got=str(self._steps))
        if expected.safe_after(self.steps_in_all) is not None:
            got = "a safe head recorded for one more"
            return Difference(where="timeline", field="steps", expected=str(self.steps_in_all), got=got)
        return None
